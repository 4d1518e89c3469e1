/* SPDX-License-Identifier: Apache-2.0
 *
 * Doubles as text. The shortest digits of a double are found by trying 1 to 17 of them, which is slow against special
 * algorithms and fast against everything around it.
 */
#include "base/real.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"

#define MOST_DIGITS 17

/* Split the "%.*e" form of x (not negative, finite) into its digits and the power of ten of the first digit. Takes any
 * decimal point that the locale has. */
static void scientific(double x, int n_digits, char digits[MOST_DIGITS + 1], int *exponent)
{
    char text[64];
    snprintf(text, sizeof text, "%.*e", n_digits - 1, x);
    size_t n = 0;
    const char *p = text;
    for (; *p != '\0' && *p != 'e'; p++) {
        if (*p >= '0' && *p <= '9' && n < MOST_DIGITS) {
            digits[n++] = *p;
        }
    }
    digits[n] = '\0';
    int64_t power = 0;
    if (*p == 'e') {
        p++;
        const bool negative = *p == '-';
        const bool ok = ox_str_to_i64(ox_str_c(p + 1), &power);
        power = ok && negative ? -power : power;
    }
    *exponent = (int)power;
}

/* Do these digits read back as x? */
static bool reads_back(double x, const char *digits, int exponent)
{
    char text[64];
    double back;
    snprintf(text, sizeof text, "%c.%se%d", digits[0], digits + 1, exponent);
    return ox_str_to_double(ox_str_c(text), &back) && !(back < x) && !(back > x);
}

/* Count the digits up by one in their last place. */
static void count_up(char *digits, int *exponent)
{
    size_t i = strlen(digits);
    while (i > 0 && digits[i - 1] == '9') {
        digits[--i] = '0';
    }
    if (i > 0) {
        digits[i - 1]++;
        return;
    }
    digits[0] = '1';
    (*exponent)++;
}

/* The shortest digits that read back as x. The nearest n digits are tried for each n; below a power of two doubles lie
 * closer together than above it, so there the next digits up may read back where the nearest do not. */
static void shortest(double x, char digits[MOST_DIGITS + 1], int *exponent)
{
    int binary_exponent;
    const double fraction = frexp(x, &binary_exponent);
    const bool power_of_two = !(fraction > 0.5) && !(fraction < 0.5);
    for (int n = 1; n <= MOST_DIGITS; n++) {
        scientific(x, n, digits, exponent);
        if (reads_back(x, digits, *exponent)) {
            return;
        }
        if (power_of_two && n < MOST_DIGITS) {
            count_up(digits, exponent);
            if (reads_back(x, digits, *exponent)) {
                return;
            }
        }
    }
}

void ox_real_add(struct ox_buf *buf, double x)
{
    char digits[MOST_DIGITS + 1] = "0";
    int exponent = 0;
    shortest(fabs(x), digits, &exponent);
    const int n_digits = (int)strlen(digits);
    if (signbit(x)) {
        ox_buf_add_byte(buf, '-');
    }
    if (exponent < -4 || exponent >= 16) {
        ox_buf_add_byte(buf, digits[0]);
        if (n_digits > 1) {
            ox_buf_printf(buf, ".%s", digits + 1);
        }
        ox_buf_printf(buf, "e%c%02d", exponent < 0 ? '-' : '+', exponent < 0 ? -exponent : exponent);
        return;
    }
    if (exponent < 0) {
        ox_buf_printf(buf, "0.%.*s%s", -exponent - 1, "000", digits);
        return;
    }
    for (int i = 0; i <= exponent || i < n_digits; i++) {
        if (i == exponent + 1) {
            ox_buf_add_byte(buf, '.');
        }
        ox_buf_add_byte(buf, i < n_digits ? digits[i] : '0');
    }
    if (n_digits <= exponent + 1) {
        ox_buf_add_c(buf, ".0");
    }
}
