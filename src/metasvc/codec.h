// Encodes and decodes whatever wire.h and methods.h describe by `fields`. Private to metasvc/.
#pragma once

#include <array>
#include <cstdint>
#include <msgpack.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/error.h"
#include "metasvc/methods.h"

namespace shoal::metasvc {

using Packer = msgpack::packer<msgpack::sbuffer>;

// Bounds what a hostile body can make of itself; the frame bounds its bytes.
inline constexpr size_t kItemsMax = 100'000;  // of one array
inline constexpr size_t kBytesMax = 1 << 20;  // of one string
inline constexpr size_t kDepthMax = 12;

template <typename T>
concept Struct = requires(const T& value) {
  fields(value);
};
template <typename T>
concept Number = std::is_integral_v<T> || std::is_enum_v<T>;

// Declared before any is defined, for they call each other.
template <typename T>
void put(Packer& out, const std::optional<T>& value);
template <typename T>
void put(Packer& out, const std::vector<T>& values);
template <typename T>
void put(Packer& out, const Result<T>& result);
template <Struct T>
void put(Packer& out, const T& value);
template <typename T>
void take(const msgpack::object& from, std::optional<T>& value);
template <typename T>
void take(const msgpack::object& from, std::vector<T>& values);
template <typename T>
void take(const msgpack::object& from, std::vector<Result<T>>& values);
template <Struct T>
void take(const msgpack::object& from, T& value);

inline void put(Packer& out, std::string_view bytes) {  // names need not be UTF-8
  out.pack_bin(static_cast<uint32_t>(bytes.size()));
  out.pack_bin_body(bytes.data(), static_cast<uint32_t>(bytes.size()));
}
inline void put(Packer& out, const std::string& bytes) { put(out, std::string_view(bytes)); }
inline void put(Packer& out, const std::array<uint8_t, 16>& bytes) {
  put(out, std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
}
template <Number T>
void put(Packer& out, T number) {
  if constexpr (std::is_enum_v<T>) {
    out.pack(static_cast<std::underlying_type_t<T>>(number));
  } else {
    out.pack(number);
  }
}
template <typename T>
void put(Packer& out, const std::optional<T>& value) {
  if (value) {
    put(out, *value);
  } else {
    out.pack_nil();
  }
}
template <typename T>
void put(Packer& out, const std::vector<T>& values) {
  out.pack_array(static_cast<uint32_t>(values.size()));
  for (const auto& value : values) put(out, value);
}
// [0, value], or [errno, text].
template <typename T>
void put(Packer& out, const Result<T>& result) {
  out.pack_array(2);
  put(out, result.code());
  if (result.ok()) {
    put(out, *result);
  } else {
    put(out, result.error().text());
  }
}
template <Struct T>
void put(Packer& out, const T& value) {
  const auto all = fields(value);
  out.pack_array(static_cast<uint32_t>(std::tuple_size_v<decltype(all)>));
  std::apply([&out](const auto&... each) { (put(out, each), ...); }, all);
}

// Each throws msgpack::type_error when the object is not one.
inline void take(const msgpack::object& from, std::string& bytes) {
  if (from.type != msgpack::type::BIN) throw msgpack::type_error();
  bytes.assign(from.via.bin.ptr, from.via.bin.size);
}
inline void take(const msgpack::object& from, std::array<uint8_t, 16>& bytes) {
  if (from.type != msgpack::type::BIN || from.via.bin.size != bytes.size())
    throw msgpack::type_error();
  std::copy_n(from.via.bin.ptr, bytes.size(), reinterpret_cast<char*>(bytes.data()));
}
template <Number T>
void take(const msgpack::object& from, T& number) {
  if constexpr (std::is_enum_v<T>) {
    std::underlying_type_t<T> value{};
    from.convert(value);
    number = static_cast<T>(value);
  } else {
    from.convert(number);
  }
}
template <typename T>
void take(const msgpack::object& from, std::optional<T>& value) {
  value.reset();
  if (from.is_nil()) return;
  T found{};
  take(from, found);
  value = std::move(found);
}
template <typename T>
void take(const msgpack::object& from, std::vector<T>& values) {
  if (from.type != msgpack::type::ARRAY) throw msgpack::type_error();
  values.clear();
  values.reserve(from.via.array.size);
  for (uint32_t i = 0; i < from.via.array.size; ++i)
    take(from.via.array.ptr[i], values.emplace_back());
}
template <typename T>
Result<T> take_result(const msgpack::object& from) {
  if (from.type != msgpack::type::ARRAY || from.via.array.size != 2) throw msgpack::type_error();
  int code = 0;
  take(from.via.array.ptr[0], code);
  if (code != 0) {
    std::string text;
    take(from.via.array.ptr[1], text);
    return Error(code, std::move(text));
  }
  T value{};
  take(from.via.array.ptr[1], value);
  return value;
}
template <typename T>
void take(const msgpack::object& from, std::vector<Result<T>>& values) {
  if (from.type != msgpack::type::ARRAY) throw msgpack::type_error();
  values.clear();
  for (uint32_t i = 0; i < from.via.array.size; ++i)
    values.push_back(take_result<T>(from.via.array.ptr[i]));
}
template <Struct T>
void take(const msgpack::object& from, T& value) {
  if (from.type != msgpack::type::ARRAY) throw msgpack::type_error();
  uint32_t at = 0;
  const auto next = [&](auto& each) {
    if (at < from.via.array.size) take(from.via.array.ptr[at], each);
    ++at;
  };
  std::apply([&next](auto&... each) { (next(each), ...); }, fields(value));
}

template <typename T>
std::string encode(const T& value) {
  msgpack::sbuffer buffer;
  Packer out(buffer);
  put(out, value);
  return std::string(buffer.data(), buffer.size());
}

// EBADMSG when the bytes are not exactly one such value.
template <typename T>
Result<T> decode(std::string_view bytes) {
  try {
    size_t at = 0;
    const msgpack::unpack_limit limit(kItemsMax, 0, kBytesMax, kBytesMax, 0, kDepthMax);
    const msgpack::object_handle object =
        msgpack::unpack(bytes.data(), bytes.size(), at, nullptr, nullptr, limit);
    if (at != bytes.size()) return error(EBADMSG, "{} bytes behind a message", bytes.size() - at);
    T value{};
    take(object.get(), value);
    return value;
  } catch (const std::exception&) {
    return error(EBADMSG, "a body of {} bytes is not the message it is said to be", bytes.size());
  }
}

}  // namespace shoal::metasvc
