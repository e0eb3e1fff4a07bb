/* Start-up code of a Cortex-M on ARM's MPS2 board, which QEMU emulates. It talks to the emulator by semihosting. */
#include "board.h"

#include <stddef.h>
#include <stdint.h>

#define UNUSED_STACK 0x5aa5c33cu

extern uint32_t data_in_flash[], data_begin[], data_end[], bss_begin[], bss_end[], stack_top[];
int main(void);

static int semihosting(int operation, const void *argument) {
    register int r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

void board_print(const char *text) { semihosting(4, text); }

static void stop(int status) {
    semihosting(0x18, (const void *)(status ? 0x20023u : 0x20026u)); /* a run-time error, or the program's end */
    for (;;) {}
}

unsigned board_stack_used(void) {
    const uint32_t *lowest = bss_end;
    while (*lowest == UNUSED_STACK) lowest++;
    return (unsigned)((const char *)stack_top - (const char *)lowest);
}

static void fault(void) {
    board_print("fault\n");
    stop(1);
}

static void reset(void) {
    volatile uint32_t *here = (volatile uint32_t *)__builtin_frame_address(0);
    for (uint32_t *to = data_begin, *from = data_in_flash; to < data_end;) *to++ = *from++;
    for (uint32_t *to = bss_begin; to < bss_end;) *to++ = 0;
    for (volatile uint32_t *to = bss_end; to < here - 16; to++) *to = UNUSED_STACK;
#ifdef __ARM_FP
    *(volatile uint32_t *)0xe000ed88 |= 0xfu << 20; /* the floating-point unit on */
    __asm__ volatile("dsb\nisb");
#endif
    stop(main());
}

typedef union vector {
    const void *stack;
    void (*handler)(void);
} vector;

__attribute__((section(".vectors"), used)) static const vector vectors[16] = {
    {.stack = stack_top}, {.handler = reset}, {.handler = fault}, {.handler = fault},
    {.handler = fault},   {.handler = fault}, {.handler = fault},
};

/* What compilers may call in any C program. */
void *memset(void *to, int value, size_t count) {
    volatile unsigned char *at = to;
    while (count--) *at++ = (unsigned char)value;
    return to;
}

void *memcpy(void *restrict to, const void *restrict from, size_t count) {
    volatile unsigned char *at = to;
    const unsigned char *source = from;
    while (count--) *at++ = *source++;
    return to;
}
