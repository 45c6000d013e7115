/* A set of files that belong together, and its manifest:
 *   {"version": 1, "source": URL, "files": [[NAME, SIZE, "sha256" | "git", HEX, MTIME_NS, INODE], ...],
 *    "sha256": SEAL}
 * Files come to their names only when their content is right, and the manifest comes last. */
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/mem.h"
#include "cache/fetch_impl.h"
#include "cache/store_impl.h"
#include <errno.h>
#include <string.h>

void fetch_set_done(struct fetch_set *f)
{
    for (size_t i = 0; i < f->n; i++) {
        free(f->file[i].name);
        free(f->file[i].url);
    }
    free(f->file);
    free(f->dir);
    free(f->manifest);
    free(f->pinned);
    *f = (struct fetch_set){0};
}

struct fetch_file *fetch_set_add(struct fetch_set *f, const char *name)
{
    f->file = xgrow(f->file, &f->cap, f->n + 1, sizeof *f->file);
    f->file[f->n] = (struct fetch_file){.name = xstrdup(name), .size = -1};
    return &f->file[f->n++];
}

char *fetch_file_path(const struct fetch_set *f, const struct fetch_file *file)
{
    return xprintf("%s/files/%s", f->dir, file->name);
}

char *fetch_part_path(const struct fetch_set *f, const struct fetch_file *file)
{
    struct digest d; /* two files may have one content */
    char hex[DIGEST_HEX];
    hash_bytes(file->name, strlen(file->name), &d);
    return xprintf("%s/parts/%s", f->dir, digest_hex(&d, hex));
}

/* ---- the manifest ---- */

static bool is_hex(const char *s, size_t n)
{
    return s && strlen(s) == n && strspn(s, "0123456789abcdef") == n;
}

static bool recall_file(struct fetch_set *f, const json_t *row)
{
    const char *name = json_string_value(json_array_get(row, 0)),
               *how = json_string_value(json_array_get(row, 2)),
               *hex = json_string_value(json_array_get(row, 3));
    bool git = how && strcmp(how, "git") == 0;
    if (!name || !how || !origin_name_ok(name) || !is_hex(hex, git ? GIT_HEX - 1 : DIGEST_HEX - 1))
        return false;
    struct fetch_file *file = fetch_set_add(f, name);
    file->size = json_integer_value(json_array_get(row, 1));
    file->git = git;
    memcpy(file->hex, hex, strlen(hex) + 1);
    file->mtime = json_integer_value(json_array_get(row, 4));
    file->inode = json_integer_value(json_array_get(row, 5));
    return true;
}

void fetch_set_forget(struct fetch_set *f)
{
    for (size_t i = 0; i < f->n; i++) {
        free(f->file[i].name);
        free(f->file[i].url);
    }
    f->n = 0;
}

void fetch_set_recall(struct fetch_set *f)
{
    AUTO_JSON j = fs_exists(f->manifest) ? json_read(f->manifest, NULL) : NULL;
    fetch_set_forget(f);
    if (!store_unseal(j) || json_int_or(j, "version", 0) != 1)
        return;
    const json_t *rows = json_object_get(j, "files");
    for (size_t i = 0; i < json_array_size(rows); i++)
        if (!recall_file(f, json_array_get(rows, i))) {
            fetch_set_forget(f);
            return;
        }
}

static bool stat_of(const char *path, int64_t *size, int64_t *mtime, int64_t *inode)
{
    struct stat st;
    if (lstat(path, &st) != 0 || !S_ISREG(st.st_mode))
        return false;
    *size = st.st_size;
    *mtime = st.st_mtim.tv_sec * 1000000000LL + st.st_mtim.tv_nsec;
    *inode = (int64_t)st.st_ino;
    return true;
}

bool fetch_set_seal(struct store *s, struct fetch_set *f, struct error *err)
{
    json_t *rows = json_array();
    AUTO_JSON j =
        json_pack("{s:i, s:s, s:o}", "version", 1, "source", f->pinned ? f->pinned : "", "files", rows);
    for (size_t i = 0; i < f->n; i++) {
        struct fetch_file *file = &f->file[i];
        AUTO(mem) char *path = fetch_file_path(f, file);
        int64_t size;
        if (!stat_of(path, &size, &file->mtime, &file->inode) || size != file->size)
            return error_set(err, NULL, ERROR_SYSTEM, "'%s' changed while it was fetched", path);
        json_array_append_new(rows, json_pack("[s, I, s, s, I, I]", file->name, (json_int_t)size,
                                              file->git ? "git" : "sha256", file->hex,
                                              (json_int_t)file->mtime, (json_int_t)file->inode));
    }
    store_seal(j);
    AUTO(mem) char *text = json_text(j, false);
    return store_publish(s, f->manifest, text, strlen(text), err);
}

/* ---- what is there ---- */

bool fetch_file_right(struct fetch_file *file, const char *path, struct error *err)
{
    struct digest d;
    char hex[DIGEST_HEX];
    int64_t size;
    if (file->git ? !hash_file_git(path, hex, &size, err) : !hash_file(path, &d, &size, err))
        return false;
    if (!file->git)
        digest_hex(&d, hex);
    if ((file->size >= 0 && size != file->size) || strcmp(hex, file->hex) != 0)
        return false;
    file->size = size;
    return true;
}

bool fetch_set_whole(struct fetch_set *f, bool read, struct error *err)
{
    bool whole = f->n > 0;
    for (size_t i = 0; i < f->n; i++) {
        struct fetch_file *file = &f->file[i];
        struct error why = {0};
        AUTO(mem) char *path = fetch_file_path(f, file);
        int64_t size, mtime, inode;
        file->there = stat_of(path, &size, &mtime, &inode) && size == file->size;
        bool same = file->there && file->mtime == mtime && file->inode == inode;
        if (file->there && (read || !same))
            file->there = fetch_file_right(file, path, &why);
        if (why.code) {
            if (err)
                *err = why;
            return false;
        }
        whole = whole && file->there;
    }
    return whole;
}
