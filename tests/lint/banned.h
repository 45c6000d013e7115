/* Calls that hide errors or overflow: using one fails to compile. Included before every file by the Makefile. */
#ifndef WEFT_BANNED_H
#define WEFT_BANNED_H
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#pragma GCC poison strcpy strcat sprintf vsprintf strncpy strncat gets strtok atoi atol atof
#endif
