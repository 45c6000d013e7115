/* What Slurm prints and what --slurm says, read: lines as Slurm 22.05 wrote them, and what is none of these.
 */
#include "base/cleanup.h"
#include "engine/exec/slurm_text.h"
#include "engine/exec/words.h"
#include "tests/test.h"
#include <string.h>

static const char node[] =
    "NodeName=n1 Arch=x86_64 CoresPerSocket=2  CPUAlloc=4 CPUEfctv=4 CPUTot=8 CPULoad=1.99 "
    "NodeAddr=127.0.0.1 OS=Linux 6.18.44 #1 SMP @0  RealMemory=4000 AllocMem=2000 FreeMem=23324 Sockets=2 "
    "Boards=1 "
    "State=MIXED+DRAIN ThreadsPerCore=2 Reason=a State=of mind\n";

static void fields(void **state)
{
    AUTO(arena) struct arena a;
    arena_init(&a);
    assert_string_equal(slurm_field(node, "NodeName", &a), "n1");
    assert_string_equal(slurm_field(node, "State", &a), "MIXED+DRAIN");
    assert_null(slurm_field(node, "Load", &a)); /* of CPULoad */
    assert_null(slurm_field(node, "Stat", &a));
    assert_string_equal(slurm_field("A= B=1", "A", &a), "");
    assert_int_equal(slurm_number(node, "CPUTot", 0), 8);
    assert_int_equal(slurm_number(node, "RealMemory", 0), 4000);
    assert_int_equal(slurm_number(node, "OS", -1), -1);
    assert_int_equal(slurm_number(node, "Gres", 7), 7);
}

static void counts(void **state)
{
    int n[6] = {0};
    assert_true(slurm_counts("4", n, 1));
    assert_int_equal(n[0], 4);
    assert_true(slurm_counts("4(x2),8,1(x3)", n, 6));
    assert_memory_equal(n, ((int[]){4, 4, 8, 1, 1, 1}), sizeof n);
    static const char *const bad[] = {"",       "4",     "4(x7)", "4(x5)",           "4(x6),1", "4(x2,8", "x",
                                      "4(x-1)", "0(x6)", "4(x)",  "4(x99999999999)", "4;5",     "-4(x6)"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (slurm_counts(bad[i], n, 6))
            fail_msg("'%s' counts six nodes", bad[i]);
}

static void states(void **state)
{
    static const char *const works[] = {"idle",        "mixed",          "allocated",  "ALLOCATED",
                                        "MIXED+DRAIN", "draining",       "completing", "reserved",
                                        "planned",     "IDLE+COMPLETING"};
    static const char *const not [] = {"down",
                                       "down*",
                                       "idle*",
                                       "DOWN+NOT_RESPONDING",
                                       "ALLOCATED+NOT_RESPONDING",
                                       "failing",
                                       "fail",
                                       "unknown",
                                       "powered_down",
                                       "idle~",
                                       "IDLE+POWERED_DOWN",
                                       "future"};
    for (size_t i = 0; i < sizeof works / sizeof *works; i++)
        if (!slurm_node_works(works[i]))
            fail_msg("'%s' does not work", works[i]);
    for (size_t i = 0; i < sizeof not / sizeof *not ; i++)
        if (slurm_node_works(not [i]))
            fail_msg("'%s' works", not [i]);
    assert_null(slurm_job_end("RUNNING"));
    assert_null(slurm_job_end("PENDING"));
    assert_null(slurm_job_end("CONFIGURING"));
    assert_string_equal(slurm_job_end("CANCELLED by 0"), "was cancelled");
    assert_string_equal(slurm_job_end("PREEMPTED"), "was preempted");
    assert_string_equal(slurm_job_end("NODE_FAIL"), "has lost its node");
    assert_string_equal(slurm_job_end("TIMEOUT"), "has reached its time limit");
}

static void minutes(void **state)
{
    assert_int_equal(slurm_minutes("90m"), 90);
    assert_int_equal(slurm_minutes("1h30m"), 90);
    assert_int_equal(slurm_minutes("2d1s"), 2 * 1440 + 1);
    assert_int_equal(slurm_minutes("1s"), 1);
    assert_int_equal(slurm_minutes("60s"), 1);
    static const char *const bad[] = {"",     "4",    "h",    "0h",          "-1h", "1m1h",
                                      "1h1h", "1.5h", "4:00", "9999999999h", "1x"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (slurm_minutes(bad[i]))
            fail_msg("'%s' is %d minutes", bad[i], slurm_minutes(bad[i]));
}

static void nodes(void **state)
{
    static const char text[] = "n1|4|2|2|4000|idle|main*\n"
                               "n1|4|2|2|4000|idle|short\n"
                               "big|64|2|16|512000|down*|short\n"
                               "torn|4|2\n"
                               "odd|4|0|0|1|idle|short\n";
    AUTO(arena) struct arena a;
    struct slurm_node *n;
    arena_init(&a);
    assert_int_equal(slurm_nodes(text, NULL, &a, &n), 1);
    assert_string_equal(n[0].name, "n1");
    assert_int_equal(slurm_nodes(text, "main", &a, &n), 1);
    assert_int_equal(slurm_nodes(text, "short", &a, &n), 3);
    assert_string_equal(n[1].name, "big");
    assert_string_equal(n[1].state, "down*");
    assert_int_equal(n[1].cpus, 64);
    assert_int_equal(n[1].cores, 32);
    assert_int_equal(n[1].memory, (int64_t)512000 << 20);
    assert_int_equal(n[2].cores, 4); /* nothing is said of cores: a CPU is one */
    assert_int_equal(slurm_nodes(text, "shor", &a, &n), 0);
    assert_int_equal(slurm_nodes("", NULL, &a, &n), 0);
}

static void wishes(void **state)
{
    AUTO(arena) struct arena a;
    struct slurm_wish w;
    struct error err = {0};
    arena_init(&a);
    assert_true(slurm_wish_read("", &a, &w, &err));
    assert_null(w.partition);
    assert_true(w.nodes > 0 && w.cores == 0 && w.minutes == 0 && w.memory == 0);
    assert_true(slurm_wish_read(" partition=main\taccount=x=y time=4h nodes=2 cores=8 memory=4GiB qos=q ", &a,
                                &w, &err));
    assert_string_equal(w.partition, "main");
    assert_string_equal(w.account, "x=y");
    assert_string_equal(w.qos, "q");
    assert_int_equal(w.minutes, 240);
    assert_int_equal(w.nodes, 2);
    assert_int_equal(w.cores, 8);
    assert_int_equal(w.memory, (int64_t)4 << 30);
    static const struct {
        const char *text, *says;
    } bad[] = {{"main", "NAME=VALUE"},  {"partiton=x", "did you mean 'partition'"},
               {"nodes=0", "nodes="},   {"nodes=1001", "1000 at most"},
               {"nodes=2x", "nodes="},  {"time=4", "a time such as"},
               {"memory=4", "memory="}, {"partition=", "a name"},
               {"cores=-1", "not '-1'"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        err = (struct error){0};
        if (slurm_wish_read(bad[i].text, &a, &w, &err) || !strstr(err.text, bad[i].says) ||
            err.code != ERROR_INPUT)
            fail_msg("'%s': '%s' does not say '%s'", bad[i].text, err.text, bad[i].says);
    }
}

/* Split, quoted and split again. */
static void words(void **state)
{
    static const struct {
        const char *text, *words; /* each in [] */
    } rows[] = {{"ssh n1 x", "[ssh][n1][x]"},
                {"  a\t'b c'\n", "[a][b c]"},
                {"a\"b 'c\"d", "[ab 'cd]"},
                {"'a\\b' \"c\\\"d\"", "[a\\b][c\"d]"},
                {"'' a\\ b", "[][a b]"},
                {"$HOME * {x}", "[$HOME][*][{x}]"},
                {"a\\", "[a\\]"},
                {"it\"'\"s", "[it's]"}};
    AUTO(arena) struct arena a;
    struct error err = {0};
    const char *const *word;
    arena_init(&a);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *text = rows[i].text;
        for (int again = 0; again < 2; again++) {
            char *all = arena_strdup(&a, "");
            if (!words_split(text, &a, &word, &err))
                fail_msg("'%s': %s", text, err.text);
            text = words_quote(word, &a);
            for (; *word; word++)
                all = arena_printf(&a, "%s[%s]", all, *word);
            assert_string_equal(all, rows[i].words);
        }
    }
    assert_false(words_split("a 'b", &a, &word, &err));
    assert_false(words_split("a \"b'", &a, &word, &err));
    assert_false(words_split(" \n", &a, &word, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(fields), cmocka_unit_test(counts),
                                       cmocka_unit_test(states), cmocka_unit_test(minutes),
                                       cmocka_unit_test(nodes),  cmocka_unit_test(wishes),
                                       cmocka_unit_test(words)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
