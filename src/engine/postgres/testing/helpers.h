// What the tests of this folder say often.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <string>

#include "engine/engine.h"

namespace shoal::engine::postgres {

inline Stamp next_stamp() {
  static std::atomic<Stamp> sequence = 0;
  return (Stamp{5} << kStampSequenceBits) + ++sequence;
}

inline Batch fresh_batch() { return Batch(next_stamp()); }

// "committed", "conflict a b", "unknown", or the errno's name.
inline std::string outcome(const Result<CommitResult>& result) {
  if (!result.ok()) return errno_name(result.code());
  switch (result->kind) {
    case CommitResult::Kind::kCommitted:
      return "committed";
    case CommitResult::Kind::kUnknown:
      return "unknown";
    case CommitResult::Kind::kConflict:
      break;
  }
  std::string text = "conflict";
  for (const std::string& key : result->conflicts) text += " " + key;
  return text;
}

// "value@stamp", "absent" or the errno's name.
inline std::string shown(KvEngine& engine, std::string_view key, const ReadToken* token = nullptr) {
  const Result<std::optional<Versioned>> found = engine.get(token, key);
  if (!found.ok()) return errno_name(found.code());
  if (!found->has_value()) return "absent";
  return (*found)->value + "@" + std::to_string((*found)->stamp);
}

// One sentence for people that names the server and has a remedy behind a ; or ? and no password.
inline void expect_good_text(const Error& error) {
  const std::string text = error.text();
  EXPECT_NE(text.find("PostgreSQL at "), std::string::npos) << text;
  EXPECT_EQ(text.find('\n'), std::string::npos) << text;
  EXPECT_EQ(text.find("s3cr3t"), std::string::npos) << text;
  EXPECT_NE(text.find(';'), std::string::npos) << text;
}

}  // namespace shoal::engine::postgres
