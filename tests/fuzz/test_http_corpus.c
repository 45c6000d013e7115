#include "tests/fuzz/corpus.h"
#include "tests/fuzz/http_input.h"

int main(void)
{
    return corpus_replay("tests/fuzz/corpus/http", 20, http_input_enter, http_input_run);
}
