// What is negotiated in INIT: by flags, never by the kernel's version. Each feature has a name,
// under which it is logged and switched off (`-o no_NAME`).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace shoal::fuse {

// The flag of the feature `name`; 0 when there is none.
uint64_t feature_flag(std::string_view name);

// What to answer to a kernel that offers `offered`, with `disabled` switched off.
uint64_t choose_features(uint64_t offered, uint64_t disabled);

// "async_read big_writes …", in a fixed order.
std::string describe_features(uint64_t features);
// Those we would have wanted and this kernel does not offer; "" when none.
std::string describe_missing(uint64_t offered, uint64_t disabled);

}  // namespace shoal::fuse
