/* libFuzzer on records and checkpoints; `make fuzz`. */
#include "tests/fuzz/record_input.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    record_input_enter();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    record_input_run(data, size);
    return 0;
}
