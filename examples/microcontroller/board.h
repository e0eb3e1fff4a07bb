/* The little that a program needs of a board: what `board.c` is for the emulated one, yours is for yours. */
#ifndef BOARD_H
#define BOARD_H

void board_print(const char *text);
unsigned board_stack_used(void); /* bytes, at most, until now */

#endif
