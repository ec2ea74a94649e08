/* test.h - cmocka with its includes in the order it wants. */
#ifndef FM_TEST_H
#define FM_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* after the four above */

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#endif
