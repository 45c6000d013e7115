/* libFuzzer on what servers say: answers of HTTP, and records; `make fuzz`. */
#include "tests/fuzz/http_input.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    http_input_enter();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    http_input_run(data, size);
    return 0;
}
