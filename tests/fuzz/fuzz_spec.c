/* libFuzzer on experiment files; `make fuzz`. */
#include "tests/fuzz/spec_input.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Standing in a folder of its own would lose the fuzzer's relative paths: tests/fuzz/run.sh gives absolute
 * ones. */
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    input_enter();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    input_run(data, size);
    return 0;
}
