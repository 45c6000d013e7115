/* --unit: what its texts mean, what is refused, and the GPUs that are found. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include "engine/cli/unitlist.h"
#include "tests/test.h"
#include <string.h>

static char dev[] = "/tmp/weft-unitlist-XXXXXX";

/* "gpu=2 devices 0,2|licence=5|", or the error. The texts stand in one, with ; between. */
static void show(const char *texts, bool find, const char *visible, struct buf *out)
{
    AUTO(mem) char *copy = xstrdup(texts);
    const char *text[8];
    char *rest = copy;
    int n = 0;
    struct unitlist u;
    struct error err = {0};
    while (*texts && rest)
        text[n++] = strsep(&rest, ";");
    buf_clear(out);
    if (!unitlist_read(text, n, &u, &err)) {
        buf_printf(out, "%s", err.text);
        assert_int_equal(err.code, ERROR_INPUT);
        return;
    }
    memset(copy, 'x', strlen(copy)); /* nothing of the texts is kept */
    if (find && !unitlist_find_gpus(&u, dev, visible, &err)) {
        buf_printf(out, "%s", err.text);
        assert_int_equal(err.code, ERROR_INPUT);
    }
    for (int i = 0; i < u.n && !err.code; i++) {
        const struct machine_unit *m = &u.unit[i];
        buf_printf(out, "%s=%d%s", m->name, m->count, m->per_node ? " devices" : "");
        for (int k = 0; m->id && k < m->count; k++)
            buf_printf(out, "%s%d", k ? "," : " ", m->id[k]);
        buf_puts(out, "|");
    }
    unitlist_done(&u);
}

static void read_texts(void **state)
{
    static const struct {
        const char *texts, *want;
    } row[] = {
        {"", ""},
        {"licence=5", "licence=5|"},
        {"licence=0;a-b=1000000", "licence=0|a-b=1000000|"},
        {"gpu=2", "gpu=2 devices|"},
        {"gpu=[0,2];fpga=[ 3 , 1 ]", "gpu=2 devices 0,2|fpga=2 devices 3,1|"},
        {"gpu=[]", "gpu=0 devices|"},
        {"gpu=[ ]", "gpu=0 devices|"},
        {"gpu=[9999]", "gpu=1 devices 9999|"},
        {"gpu", "--unit takes NAME=COUNT or NAME=[ID,...], such as licence=5, gpu=2 or gpu=[0,2], not 'gpu'"},
        {"=3", "--unit takes NAME=COUNT or NAME=[ID,...], such as licence=5, gpu=2 or gpu=[0,2], not '=3': a "
               "name has letters, digits, - and _ and begins with a letter"},
        {"1x=3",
         "--unit takes NAME=COUNT or NAME=[ID,...], such as licence=5, gpu=2 or gpu=[0,2], not '1x=3': "
         "a name has letters, digits, - and _ and begins with a letter"},
        {"a=", "--unit a: '' is neither a number between 0 and 1000000 nor a list of devices such as [0,2]"},
        {"a=-1",
         "--unit a: '-1' is neither a number between 0 and 1000000 nor a list of devices such as [0,2]"},
        {"a=1x",
         "--unit a: '1x' is neither a number between 0 and 1000000 nor a list of devices such as [0,2]"},
        {"a=1000001",
         "--unit a: '1000001' is neither a number between 0 and 1000000 nor a list of devices such as [0,2]"},
        {"a=99999999999999999999",
         "--unit a: '99999999999999999999' is neither a number between 0 and 1000000 "
         "nor a list of devices such as [0,2]"},
        {"a=[", "--unit a: '[' is no list of devices' numbers such as [0,2]"},
        {"a=[0", "--unit a: '[0' is no list of devices' numbers such as [0,2]"},
        {"a=[0,]", "--unit a: '[0,]' is no list of devices' numbers such as [0,2]"},
        {"a=[,0]", "--unit a: '[,0]' is no list of devices' numbers such as [0,2]"},
        {"a=[0]1", "--unit a: '[0]1' is no list of devices' numbers such as [0,2]"},
        {"a=[0 1]", "--unit a: '[0 1]' is no list of devices' numbers such as [0,2]"},
        {"a=[10000]", "--unit a: '[10000]' is no list of devices' numbers such as [0,2]"},
        {"a=[x]", "--unit a: '[x]' is no list of devices' numbers such as [0,2]"},
        {"a=[1,0,1]", "--unit a: device 1 is there twice"},
        {"a=1;b=1;a=2", "--unit: 'a' is given twice"},
        {"a-b=1;A_b=2", "--unit: 'A_b' and 'a-b' have the same variable"}};
    AUTO(buf) struct buf got = {0};
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        show(row[i].texts, false, NULL, &got);
        assert_string_equal(buf_str(&got), row[i].want);
    }
}

static void touch(const char *name)
{
    AUTO(mem) char *path = xprintf("%s/%s", dev, name);
    assert_true(fs_write_file(path, "", 0, NULL));
}

/* A folder in place of /dev. A container may have some devices of its machine only; they are 0, 1, 2 there.
 */
static void gpus(void **state)
{
    static const char *const others[] = {"nvidia", "nvidiactl", "nvidia-uvm", "nvidia1x", "nvidia-3", "tty0"};
    static const struct {
        const char *texts, *visible, *want;
        bool none; /* before there is a device */
    } row[] = {{"", NULL, "", true},
               {"", "0", "", true},
               {"gpu=2", NULL, "gpu=2 devices|", true},
               {"gpu=2", "0",
                "--unit gpu=2: there are 0 here with CUDA_VISIBLE_DEVICES=0; gpu=[0,...] names any", true},
               {"gpu=[1]", "0", "gpu=1 devices 1|", true},
               {"", NULL, "gpu=3 devices 0,1,2|", false},
               {"licence=1", NULL, "licence=1|gpu=3 devices 0,1,2|", false},
               {"gpu=[];licence=1", NULL, "gpu=0 devices|licence=1|", false},
               {"gpu=[7]", "0", "gpu=1 devices 7|", false},
               {"gpu=2", NULL, "gpu=2 devices 0,1|", false},
               {"GPU=2", NULL, "GPU=2 devices 0,1|", false},
               {"gpu=4", NULL, "--unit gpu=4: there are 3 here; gpu=[0,...] names any", false},
               {"", "2,0", "gpu=2 devices 2,0|", false},
               {"", " 1 , 2 ", "gpu=2 devices 1,2|", false},
               {"gpu=1", "2,0", "gpu=1 devices 2|", false},
               {"gpu=2", "2",
                "--unit gpu=2: there is 1 here with CUDA_VISIBLE_DEVICES=2; gpu=[0,...] names any", false},
               {"", "", "", false},
               {"", "-1", "", false},
               {"", "1,-1,0", "gpu=1 devices 1|", false},
               {"", "1,3,0", "gpu=1 devices 1|", false},
               {"", "1,1,0", "gpu=1 devices 1|", false},
               {"", "1,2x", "gpu=1 devices 1|", false},
               {"", "GPU-8932f937-d72c-4106-c12f-20bd9faed9f6", "", false},
               {"", "0,GPU-8932f937", "gpu=1 devices 0|", false}};
    AUTO(buf) struct buf got = {0};
    bool none = true;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        touch(others[i]);
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        if (none && !row[i].none)
            touch("nvidia1"), touch("nvidia3"), touch("nvidia12");
        none = row[i].none;
        show(row[i].texts, true, row[i].visible, &got);
        assert_string_equal(buf_str(&got), row[i].want);
    }
}

static int enter(void **state)
{
    return !mkdtemp(dev);
}

static int leave(void **state)
{
    return !fs_remove_tree(dev, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(read_texts), cmocka_unit_test(gpus)};
    return cmocka_run_group_tests(tests, enter, leave);
}
