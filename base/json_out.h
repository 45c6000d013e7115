/* JSON as it is told, value after value, compact, into a buffer: for what is written by the thousand
 * (records, jobs, events), where a tree of values would cost more than all else. Members stand in the order
 * in which they are told; whoever wants them sorted tells them sorted.
 *
 *     struct json_out o = {.to = &text};
 *     json_out_object(&o, NULL);
 *     json_out_text(&o, "event", "done");
 *     json_out_list(&o, "seconds");
 *     json_out_real(&o, NULL, 0.5);
 *     json_out_end(&o);
 *     json_out_end(&o);
 *
 * name: of the member; NULL in a list, and for the whole value. Texts that are not valid UTF-8 are written
 * with U+FFFD in their stead, and told of in `bad`. */
#ifndef BASE_JSON_OUT_H
#define BASE_JSON_OUT_H
#include "base/buf.h"
#include "base/json.h"
#include <stdint.h>

struct json_out {
    struct buf *to;
    bool bad; /* a text was no UTF-8 */
    int depth;
    bool follows;   /* something stands before it, on its level */
    uint64_t lists; /* a bit a level: it is one; 64 levels at most */
};
void json_out_object(struct json_out *o, const char *name);
void json_out_list(struct json_out *o, const char *name);
void json_out_end(struct json_out *o); /* of the object or list that was begun last */
void json_out_text(struct json_out *o, const char *name, const char *text);
void json_out_bytes(struct json_out *o, const char *name, const char *text, size_t n);
void json_out_integer(struct json_out *o, const char *name, int64_t value);
void json_out_real(struct json_out *o, const char *name, double value); /* 17 digits; null: not finite */
/* Seconds to the microsecond: "0.056610". Cheaper than a real by far; below 0 and not finite are 0. */
void json_out_seconds(struct json_out *o, const char *name, double seconds);
void json_out_bool(struct json_out *o, const char *name, bool value);
void json_out_value(struct json_out *o, const char *name, const json_t *value, bool sorted);
/* A compact value once more, as it is with JSON_INDENTED. */
void json_out_indented(struct buf *out, const char *text, size_t n);
/* What stands before a value, which the caller then writes. */
void json_out_lead(struct json_out *o, const char *name);
#endif
