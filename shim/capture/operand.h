/* Operand: which registers form the memory operand of an x86-64 instruction. Tells a dereferenced
 * poison word from one that merely sits in a register. Pure; async-signal-safe. */
#ifndef OUTLIVE_CAPTURE_OPERAND_H
#define OUTLIVE_CAPTURE_OPERAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OPERAND_NONE (-1)

struct operand {
    int base, index;  /* hardware register numbers 0 (rax) to 15 (r15), or OPERAND_NONE */
    bool is_register; /* the operand is the base register itself, as in `call *%rax` */
    bool is_call;     /* control goes through the operand */
    bool is_string;   /* rsi and rdi are the operands */
    bool modifies;    /* it reads the memory that it writes, where it writes: not a plain store */
    bool is_return;   /* the word on top of the stack is where control goes */
};

/* Decodes the bytes at an instruction's start (Intel SDM volume 2, chapter 2); false for what it
 * does not understand. */
bool operand_decode(const uint8_t *code, size_t size, struct operand *operand);

#endif
