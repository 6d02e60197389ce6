/* Fuzzes the parsers of lines: options, suppressions, /proc/self/maps. */
#include "base/options.h"
#include "base/text.h"
#include "report/modules.h"
#include "report/suppression.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct options options;
    char error[200];
    char *string = malloc(size + 1);
    memcpy(string, data, size);
    string[size] = '\0';
    options_default(&options);
    (void)options_parse(&options, string, error, sizeof error);

    struct suppression suppression;
    const char *why, *path;
    if (suppression_parse(&suppression, (const char *)data, size, &why) &&
        suppression.kind[0] != '\0')
        (void)text_matches("server::Monitor::run(server::Monitor*)", suppression.pattern);

    uintptr_t start, end;
    uint64_t offset;
    bool readable;
    size_t length;
    (void)modules_parse_line((const char *)data, size, &start, &end, &readable, &offset, &path,
                             &length);
    free(string);
    return 0;
}
