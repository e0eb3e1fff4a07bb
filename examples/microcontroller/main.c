/* Reads the test images and says what digit each is, then how many were right and how much stack that took. */
#include "board.h"
#include "digits.h"

#define SAMPLES_SECTION __attribute__((section(".samples"))) /* the camera of this example */
#include "samples.h"

static void print_number(const char *before, unsigned number, const char *after) {
    char text[11], *at = text + sizeof text - 1;
    *at = 0;
    do *--at = (char)('0' + number % 10);
    while (number /= 10);
    board_print(before);
    board_print(at);
    board_print(after);
}

int main(void) {
    static float x[DIGITS_INPUT_SIZE], y[DIGITS_OUTPUT_SIZE];
    unsigned right = 0;
    for (int i = 0; i < SAMPLES; i++) {
        unsigned best = 0;
        for (int j = 0; j < DIGITS_INPUT_SIZE; j++) x[j] = images[i][j];
        digits_predict(x, y);
        for (unsigned j = 1; j < DIGITS_OUTPUT_SIZE; j++)
            if (y[j] > y[best]) best = j;
        right += best == labels[i];
        print_number("", best, "");
    }
    print_number("\n", right, " of ");
    print_number("", SAMPLES, " right\n");
    print_number("", board_stack_used(), " bytes of stack\n");
    return 0;
}
