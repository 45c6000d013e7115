#include "tests/fuzz/corpus.h"
#include "tests/fuzz/spec_input.h"

int main(void)
{
    return corpus_replay("tests/fuzz/corpus/spec", 50, input_enter, input_run);
}
