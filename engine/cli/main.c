#include "engine/cli/cmd.h"
#include "engine/exec/versions.h"
#include <locale.h>

/* The Makefile defines them where there is a git checkout. */
#ifndef WEFT_COMMIT
#define WEFT_COMMIT      ""
#define WEFT_COMMIT_DATE ""
#endif

int main(int argc, char **argv)
{
    setlocale(LC_CTYPE, "C.UTF-8"); /* widths of characters; texts are UTF-8 whatever the user's locale is */
    versions_commit = WEFT_COMMIT;
    versions_commit_date = WEFT_COMMIT_DATE;
    return cmd_main(argc, argv);
}
