// Errors as values: `Error` says what went wrong, `Result<T>` is a T or an Error, TRY passes errors
// on.
//
//   Result<File> open_log(const Path& path) {
//     TRY_ASSIGN(File file, fs.open(path, OpenMode::kRead));
//     TRY(check_header(file));
//     return file;
//   }
//
// The code is an errno value, because errors end up in programs that only know errno. A message
// says what, which value and what to do; it may be empty where errno alone is the answer (ENOENT of
// a lookup), so that ordinary refusals allocate nothing. An Error that is destroyed without ever
// having been looked at aborts debug builds.
#pragma once

#include <fmt/core.h>

#include <cerrno>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

#include "base/check.h"

namespace shoal {

class [[nodiscard]] Error {
 public:
  struct Where {  // a type of its own, so that Error(EPERM, "text") takes the text for a message
                  // and not for a file
    const char* file;
    int line;
    explicit Where(const char* f = __builtin_FILE(), int l = __builtin_LINE()) : file(f), line(l) {}
  };

  // `code` is an errno value, never 0.
  explicit Error(int code, Where where = Where())
      : code_(code), line_(where.line), file_(where.file) {}
  Error(int code, std::string message, const char* file = __builtin_FILE(),
        int line = __builtin_LINE())
      : code_(code), line_(line), file_(file), message_(std::move(message)) {}

  Error(Error&& other) noexcept = default;
  Error& operator=(Error&& other) noexcept = default;
  Error(const Error&) = default;
  Error& operator=(const Error&) = default;

  int code() const { return code_; }
  bool is(int code) const { return code_ == code; }
  const std::string& message() const { return message_; }

  // "EIO: segment 01…: short read (src/data/reader.cc:80)"; for logs.
  std::string to_string() const;
  // Message for people: without the source line; falls back to strerror.
  std::string text() const;

  // The same error with `what` put before its message: "mount /mnt/x: no such volume".
  Error in(std::string_view what) const;

 private:
  int code_;
  int line_;
  const char* file_;
  std::string message_;
};

// Error with a formatted message: return error(EINVAL, "block size {} is not a power of two", n);
template <typename... Args>
struct ErrorFormat {  // carries the caller's line beside the format string
  fmt::format_string<Args...> format;
  const char* file;
  int line;
  template <typename S>
  consteval ErrorFormat(const S& s, const char* f = __builtin_FILE(),
                        int l = __builtin_LINE())  // NOLINT
      : format(s), file(f), line(l) {}
};

template <typename... Args>
Error error(int code, ErrorFormat<std::type_identity_t<Args>...> format, Args&&... args) {
  return Error(code, fmt::format(format.format, std::forward<Args>(args)...), format.file,
               format.line);
}

// "ENOENT" for 2; the number in digits when it has no name.
std::string errno_name(int code);

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value)
      : state_(std::in_place_index<0>, std::move(value)) {}  // NOLINT(google-explicit-constructor)
  Result(Error error)
      : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT(google-explicit-constructor)

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  // REQUIRES ok().
  T& value() & {
    CHECK_OK_RESULT(*this);
    return *std::get_if<0>(&state_);
  }
  const T& value() const& {
    CHECK_OK_RESULT(*this);
    return *std::get_if<0>(&state_);
  }
  // By value: what a temporary Result held outlives it, in a range-for too.
  T value() && {
    CHECK_OK_RESULT(*this);
    return std::move(*std::get_if<0>(&state_));
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  // REQUIRES !ok().
  const Error& error() const& {
    CHECK(!ok());
    return *std::get_if<1>(&state_);
  }
  Error&& error() && {
    CHECK(!ok());
    return std::move(*std::get_if<1>(&state_));
  }
  // 0 when ok, else the errno value.
  int code() const { return ok() ? 0 : std::get_if<1>(&state_)->code(); }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}  // NOLINT(google-explicit-constructor)

  bool ok() const { return !error_.has_value(); }
  explicit operator bool() const { return ok(); }
  void value() const { CHECK_OK_RESULT(*this); }
  const Error& error() const& {
    CHECK(!ok());
    return *error_;
  }
  Error&& error() && {
    CHECK(!ok());
    return std::move(*error_);
  }
  int code() const { return ok() ? 0 : error_->code(); }

  // Says in code that this error is meant to be dropped, and why.
  void ignore(const char* /*why*/) const {}

 private:
  std::optional<Error> error_;
};

using Status = Result<void>;

namespace base_internal {
template <typename R>
Error take_error(R&& result) {
  return std::forward<R>(result).error();
}
}  // namespace base_internal

#define SHOAL_CONCAT_(a, b) a##b
#define SHOAL_CONCAT(a, b) SHOAL_CONCAT_(a, b)

// Returns the error of `expr` (a Result or Status) from the enclosing function.
#define TRY(expr)                                                       \
  do {                                                                  \
    if (auto shoal_try_ = (expr); !shoal_try_.ok()) [[unlikely]]        \
      return ::shoal::base_internal::take_error(std::move(shoal_try_)); \
  } while (false)

// TRY_ASSIGN(auto page, store.list(prefix)): declares `page` or returns the error.
#define TRY_ASSIGN(declaration, expr) \
  TRY_ASSIGN_(SHOAL_CONCAT(shoal_result_, __LINE__), declaration, expr)
#define TRY_ASSIGN_(result, declaration, expr)                    \
  auto result = (expr);                                           \
  if (!result.ok()) [[unlikely]]                                  \
    return ::shoal::base_internal::take_error(std::move(result)); \
  declaration = std::move(result).value()

}  // namespace shoal
