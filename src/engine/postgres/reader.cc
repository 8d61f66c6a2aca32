#include "engine/postgres/reader.h"

#include <algorithm>

#include "engine/postgres/errors.h"
#include "engine/postgres/wire.h"
#include "engine/rules.h"

namespace shoal::engine::postgres {
namespace {

// A read may be repeated as often as one likes; a connection that died while idle needs one more.
constexpr int kReadAttemptsMax = 3;

// Columns: stamp, value, counter.
Result<Versioned> versioned(const Rows& rows, size_t row, int first) {
  TRY_ASSIGN(const int64_t stamp, rows.integer(row, first));
  if (rows.is_null(row, first + 2)) {
    return Versioned{as_stamp(stamp), std::string(rows.bytes(row, first + 1))};
  }
  TRY_ASSIGN(const int64_t counter, rows.integer(row, first + 2));
  return Versioned{as_stamp(stamp), encode_counter(counter)};
}

Result<Item> item(const Rows& rows, size_t row) {
  TRY_ASSIGN(Versioned found, versioned(rows, row, 0));
  return Item{std::string(rows.bytes(row, 3)), found.stamp, std::move(found.value)};
}

}  // namespace

class Reader::Token final : public ReadToken {
 public:
  Token(Reader& owner, std::shared_ptr<Moment> at) : reader(owner), moment(std::move(at)) {}
  ~Token() override { reader.release(moment); }
  Reader& reader;
  const std::shared_ptr<Moment> moment;
};

Reader::Reader(Connector& connector, const Clock& clock)
    : connector_(connector),
      clock_(clock),
      read_pool_(connector, Purpose::kRead, connector.options().read_connections_max),
      token_pool_(connector, Purpose::kToken, connector.options().tokens_max) {}

Reader::~Reader() {
  MutexLock lock(mutex_);
  CHECK(tokens_ == 0);
}

std::unique_ptr<ReadToken> Reader::read_token() {
  const PostgresOptions& options = connector_.options();
  const std::chrono::nanoseconds now = clock_.since_boot();
  const auto moment = std::make_shared<Moment>(connector_.target(), now);
  std::vector<std::shared_ptr<Moment>> ending;
  {
    MutexLock lock(mutex_);
    ++tokens_;
    moments_.push_back(moment);
    size_t count = 0;
    while (moments_.size() - count > options.tokens_max ||
           now - moments_[count]->begun() > options.token_age_max) {
      ++count;
    }
    const auto end = moments_.begin() + static_cast<ptrdiff_t>(count);
    ending.assign(moments_.begin(), end);
    moments_.erase(moments_.begin(), end);
  }
  // Oldest first: a younger one may be waiting for the connection of an older one.
  for (const std::shared_ptr<Moment>& old : ending) old->end();
  moment->begin(token_pool_);
  return std::make_unique<Token>(*this, moment);
}

void Reader::release(const std::shared_ptr<Moment>& moment) {
  moment->end();
  MutexLock lock(mutex_);
  std::erase(moments_, moment);
  --tokens_;
}

Result<Rows> Reader::read(const ReadToken* token, const Statement& statement) {
  if (token == nullptr) {
    return read_latest([&](Connection& connection) {
      return connection.execute(statement.sql, statement.parameters);
    });
  }
  const auto* own = dynamic_cast<const Token*>(token);
  if (own == nullptr || &own->reader != this) {
    return error(EINVAL, "a read token of another engine");
  }
  if (clock_.since_boot() - own->moment->begun() > connector_.options().token_age_max) {
    own->moment->end();
  }
  return own->moment->execute(statement);
}

Result<Rows> Reader::read_latest(const Ask& ask) {
  Pool::Lease lease = read_pool_.take();
  Answer answer;
  for (int attempt = 0; attempt < kReadAttemptsMax; ++attempt) {
    TRY_ASSIGN(Connection* const connection, lease.ready());
    answer = ask(*connection);
    if (answer.kind == Answer::Kind::kDone) return std::move(answer.rows);
    if (answer.kind == Answer::Kind::kRefused) break;
    lease.discard();
  }
  return answer_error(connector_.target(), answer, "reading");
}

Result<Rows> Reader::query(const std::string& sql) {
  return read_latest([&](Connection& connection) { return connection.query(sql); });
}

Result<std::vector<std::optional<Versioned>>> Reader::get(
    const ReadToken* token, const std::vector<std::string_view>& keys) {
  std::vector<std::optional<Versioned>> found(keys.size());
  if (keys.empty()) return found;
  TRY_ASSIGN(const Rows rows, read(token, get_statement(connector_.target().prefix, keys)));
  for (size_t row = 0; row < rows.size(); ++row) {
    TRY_ASSIGN(const size_t position, rows.index(row, 0, found.size()));
    TRY_ASSIGN(found[position], versioned(rows, row, 1));
  }
  return found;
}

Result<Page> Reader::scan(const ReadToken* token, std::string_view begin, std::string_view end,
                          size_t limit) {
  TRY(check_scan_limit(limit));
  Page page;
  if (!end.empty() && begin >= end) return page;
  // One more than wanted tells whether there is more.
  TRY_ASSIGN(const Rows rows, read(token, range_statement(connector_.target().prefix, begin, end,
                                                          Order::kAscending, limit + 1)));
  page.more = rows.size() > limit;
  for (size_t row = 0; row < std::min(rows.size(), limit); ++row) {
    TRY_ASSIGN(Item next, item(rows, row));
    page.items.push_back(std::move(next));
  }
  return page;
}

Result<std::optional<Item>> Reader::last(const ReadToken* token, std::string_view begin,
                                         std::string_view end) {
  if (!end.empty() && begin >= end) return std::optional<Item>();
  TRY_ASSIGN(const Rows rows, read(token, range_statement(connector_.target().prefix, begin, end,
                                                          Order::kDescending, 1)));
  if (rows.size() == 0) return std::optional<Item>();
  TRY_ASSIGN(Item found, item(rows, 0));
  return std::optional<Item>(std::move(found));
}

}  // namespace shoal::engine::postgres
