// CRC-32C (Castagnoli, RFC 3720 appendix B.4), by SSE4.2 where the processor has it.
#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace shoal {

// CRC of `bytes`; `seed` continues an earlier CRC: crc32c(b, crc32c(a)) == crc32c(a + b).
uint32_t crc32c(ByteView bytes, uint32_t seed = 0);

}  // namespace shoal
