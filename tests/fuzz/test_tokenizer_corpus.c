#include "tests/fuzz/corpus.h"
#include "tests/fuzz/tokenizer_input.h"

int main(void)
{
    return corpus_replay("tests/fuzz/corpus/tokenizer", 10, tokenizer_input_enter, tokenizer_input_run);
}
