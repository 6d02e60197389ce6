/* Includes that cmocka wants before its own header. */
#ifndef OUTLIVE_TESTS_UNIT_H
#define OUTLIVE_TESTS_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#endif
