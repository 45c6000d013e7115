#include "engine/cli/cmd.h"
#include <locale.h>

int main(int argc, char **argv)
{
    setlocale(LC_CTYPE, "C.UTF-8"); /* widths of characters; texts are UTF-8 whatever the user's locale is */
    return cmd_main(argc, argv);
}
