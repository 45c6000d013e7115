/* Calls that hide errors or overflow: using one fails to compile. Included before every file by the Makefile.
 * blis.h has sprintf in macros of its own, so the one file that includes it defines INCLUDES_BLIS. */
#ifndef WEFT_BANNED_H
#define WEFT_BANNED_H
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifndef INCLUDES_BLIS
#pragma GCC poison strcpy strcat sprintf vsprintf strncpy strncat gets strtok atoi atol atof
#endif
#endif
