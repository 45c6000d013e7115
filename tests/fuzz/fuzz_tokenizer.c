/* libFuzzer on tokenizers' files and texts; `make fuzz`. */
#include "tests/fuzz/tokenizer_input.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    tokenizer_input_enter();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tokenizer_input_run(data, size);
    return 0;
}
