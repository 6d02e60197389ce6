/* Quick: decodes the instructions that compilers use most, in a tenth of Zydis's time: whole
 * programs are read at their start. Called by decoder.c. Pure, async-signal-safe. */
#ifndef OUTLIVE_PATCH_QUICK_H
#define OUTLIVE_PATCH_QUICK_H

#include "patch/decoder.h"

#define INSTRUCTION_MOST 15

/* The same as Zydis says, or false: another one. At least INSTRUCTION_MOST bytes must be there. */
bool quick_decode(struct instruction *instruction, const unsigned char *code);

#endif
