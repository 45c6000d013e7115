#include "tests/fuzz/corpus.h"
#include "tests/fuzz/record_input.h"

int main(void)
{
    return corpus_replay("tests/fuzz/corpus/record", 20, record_input_enter, record_input_run);
}
