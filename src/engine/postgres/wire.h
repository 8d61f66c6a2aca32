// Values in PostgreSQL's binary format: parameters of a statement, rows of a COPY. Pure. Source:
// the send and receive functions of PostgreSQL 15 (array_recv, byteasend, int8send), and
// "COPY … Binary Format" in its manual. Private to this folder.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/engine.h"

namespace shoal::engine::postgres {

std::string encode_integer(int64_t value);                                    // bigint
std::string encode_bytes_array(const std::vector<std::string_view>& values);  // bytea[]
std::string encode_integer_array(const std::vector<int64_t>& values);         // bigint[]

// A whole COPY of (key, stamp, value).
std::string encode_copy(const std::vector<Item>& items);

// Stamps are compared for equality only, so their bits may live in a signed column.
inline int64_t as_column(Stamp stamp) { return static_cast<int64_t>(stamp); }
inline Stamp as_stamp(int64_t column) { return static_cast<Stamp>(column); }

}  // namespace shoal::engine::postgres
