#include "engine/exec/versions.h"
#include "stages/tensor/gemm.h"
#include <archive.h>
#include <curl/curl.h>
#include <hwloc.h>
#include <jpeglib.h> /* needs stdio.h, which jansson.h has */
#include <openssl/crypto.h>
#include <png.h>
#include <yaml.h>
#include <zstd.h>

const char *versions_commit = "", *versions_commit_date = "";

#define TEXT_(x) #x
#define TEXT(x)  TEXT_(x)
#ifdef LIBJPEG_TURBO_VERSION
#define JPEG_NAME TEXT(LIBJPEG_TURBO_VERSION)
#else
#define JPEG_NAME TEXT(JPEG_LIB_VERSION)
#endif

json_t *versions_libraries(void)
{
    unsigned hwloc = hwloc_get_api_version();
    char hwloc_text[32];
    snprintf(hwloc_text, sizeof hwloc_text, "%u.%u.%u", hwloc >> 16, hwloc >> 8 & 0xFF, hwloc & 0xFF);
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "libyaml",
                     yaml_get_version_string(), "hwloc", hwloc_text, "jansson", jansson_version_str(), "zstd",
                     ZSTD_versionString(), "openssl", OpenSSL_version(OPENSSL_VERSION_STRING), "libarchive",
                     archive_version_string() + sizeof "libarchive", "libpng", png_get_libpng_ver(NULL),
                     "libjpeg", JPEG_NAME, "blis", gemm_version(), "libcurl",
                     curl_version_info(CURLVERSION_NOW)->version);
}
