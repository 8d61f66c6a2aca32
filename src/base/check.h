// CHECK: our own invariants, on in release builds too. Never for input from disk, network, users or
// peers: those get an Error. A failed CHECK logs the condition and aborts.
#pragma once

namespace shoal::base_internal {
[[noreturn]] void check_failed(const char* condition, const char* file, int line);
// Logs the error text of a Result that value() was called on.
[[noreturn]] void value_of_error(const char* text, const char* file, int line);
}  // namespace shoal::base_internal

#define CHECK(condition) \
  ((condition) ? (void)0 : ::shoal::base_internal::check_failed(#condition, __FILE__, __LINE__))

#ifdef NDEBUG
#define DCHECK(condition) ((void)sizeof(condition))
#else
#define DCHECK(condition) CHECK(condition)
#endif

#define CHECK_OK_RESULT(result)                                                                 \
  ((result).ok() ? (void)0                                                                      \
                 : ::shoal::base_internal::value_of_error((result).error().to_string().c_str(), \
                                                          __FILE__, __LINE__))
