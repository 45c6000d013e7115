#include "tests/fuzz/corpus.h"
#include "tests/fuzz/pack_input.h"

int main(void)
{
    return corpus_replay("tests/fuzz/corpus/pack", 20, pack_input_enter, pack_input_run);
}
