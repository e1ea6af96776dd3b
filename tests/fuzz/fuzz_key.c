/* What key_decode() takes is exactly what key_encode() writes. */
#include "config.h"
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "agent/key.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct key_parts parts;
	char key[CLIENT_KEY_LEN + 1];

	if (!key_decode((const char *)data, size, &parts))
		return 0;
	key_encode(&parts, key);
	if (size != CLIENT_KEY_LEN || memcmp(key, data, size) != 0)
		abort();
	return 0;
}
