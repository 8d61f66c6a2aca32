#include "meta/travelling.h"

#include <openssl/evp.h>

#include "base/check.h"
#include "base/coding.h"
#include "engine/for_each.h"

namespace shoal::meta {
namespace {

constexpr std::string_view kTravel = "ABCDEGHILQRTUWXYZ";  // ascending
constexpr std::string_view kStay = "FKMNOPSV";
constexpr size_t kHashAtBytes = 64 << 10;

}  // namespace

bool travels(std::string_view key) {
  return !key.empty() && kTravel.find(key[0]) != std::string_view::npos;
}

Status check_letters(engine::KvEngine& engine) {
  for (std::string begin;;) {
    TRY_ASSIGN(const engine::Page page, engine.scan(nullptr, begin, "", 1));
    if (page.items.empty()) return {};
    const std::string letter = page.items.front().key.substr(0, 1);
    if (!travels(letter) && kStay.find(letter[0]) == std::string_view::npos) {
      return error(ENOTSUP,
                   "the volume holds keys that begin with {:#04x}: made by a newer shoal; use that "
                   "one",
                   static_cast<unsigned char>(letter[0]));
    }
    begin = engine::prefix_end(letter);
    if (begin.empty()) return {};
  }
}

Status each_travelling(engine::KvEngine& engine,
                       const std::function<Status(const engine::Item&)>& visit) {
  const auto each = [&visit](const engine::Item& item) -> Result<engine::Visit> {
    TRY(visit(item));
    return engine::Visit::kContinue;
  };
  for (const char letter : kTravel) {
    TRY(engine::for_each_with(engine, nullptr, std::string(1, letter), each));
  }
  return {};
}

struct Tally::Sha {
  Sha() : context(EVP_MD_CTX_new()) {
    CHECK(context != nullptr && EVP_DigestInit_ex(context, EVP_sha256(), nullptr) == 1);
  }
  ~Sha() { EVP_MD_CTX_free(context); }
  EVP_MD_CTX* context;
};

Tally::Tally() : sha_(std::make_unique<Sha>()) {}
Tally::~Tally() = default;

void Tally::hash() {
  CHECK(EVP_DigestUpdate(sha_->context, waiting_.data(), waiting_.size()) == 1);
  waiting_.clear();
}

void Tally::add(std::string_view key, Stamp stamp, std::string_view value) {
  Encoder out(waiting_);
  out.string(key);
  out.varint(stamp);
  out.string(value);
  ++keys_;
  bytes_ += key.size() + value.size();
  ++by_letter_[key[0]];
  if (waiting_.size() >= kHashAtBytes) hash();
}

format::DumpTotals Tally::finish() {
  hash();
  format::DumpTotals totals;
  totals.keys = keys_;
  totals.bytes = bytes_;
  totals.by_letter.assign(by_letter_.begin(), by_letter_.end());
  CHECK(EVP_DigestFinal_ex(sha_->context, totals.digest.data(), nullptr) == 1);
  return totals;
}

uint64_t count_of(const format::DumpTotals& totals, char letter) {
  for (const auto& [known, count] : totals.by_letter) {
    if (known == letter) return count;
  }
  return 0;
}

}  // namespace shoal::meta
