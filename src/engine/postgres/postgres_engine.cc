// Puts the parts together: commits on one connection (committer), reads on a few (reader), bulk
// writes on their own.
#include "engine/postgres/postgres_engine.h"

#include "base/log.h"
#include "engine/postgres/committer.h"
#include "engine/postgres/errors.h"
#include "engine/postgres/fence.h"
#include "engine/postgres/layout.h"
#include "engine/postgres/reader.h"
#include "engine/postgres/volume_schema.h"
#include "engine/postgres/wire.h"
#include "engine/rules.h"

namespace shoal::engine {
namespace postgres {
namespace {

class Engine final : public PostgresEngine {
 public:
  Engine(Target target, const PostgresOptions& options, const Clock& clock)
      : connector_(std::move(target), options, clock),
        committer_(connector_, clock),
        reader_(connector_, clock),
        other_(connector_, Purpose::kCommit, 1) {}

  Status open();

  std::unique_ptr<ReadToken> read_token() override { return reader_.read_token(); }
  Result<std::optional<Versioned>> get(const ReadToken* token, std::string_view key) override;
  Result<std::vector<std::optional<Versioned>>> get_many(
      const ReadToken* token, const std::vector<std::string>& keys) override {
    return reader_.get(token, {keys.begin(), keys.end()});
  }
  Result<Page> scan(const ReadToken* token, std::string_view begin, std::string_view end,
                    size_t limit) override {
    return reader_.scan(token, begin, end, limit);
  }
  Result<std::optional<Item>> last(const ReadToken* token, std::string_view begin,
                                   std::string_view end) override {
    return reader_.last(token, begin, end);
  }
  Result<CommitResult> commit(const Batch& batch) override;
  Status sync() override { return {}; }  // a commit was durable when it was acknowledged
  Status ingest(const std::vector<Item>& items) override;
  Capabilities capabilities() const override {
    return {.native_merge = true, .durable_on_commit = true, .bulk_ingest = true};
  }
  std::string describe() const override { return description_; }
  Result<uint64_t> disk_bytes() override;

  void set_epoch(uint64_t epoch) override { connector_.set_epoch(epoch); }
  Result<size_t> terminate_older_epochs(uint64_t epoch) override;
  std::vector<std::string> accepted_dangers() const override {
    return connector_.accepted_dangers();
  }
  uint64_t repeated_commits() const override { return committer_.repeated(); }

 private:
  Status writable() const {
    if (!connector_.options().read_only) return {};
    return error(EROFS, "{} was opened read-only", connector_.target().shown);
  }

  Connector connector_;
  Committer committer_;
  Reader reader_;
  Pool other_;  // for what takes long and must not keep commits back
  std::string description_;
};

Status Engine::open() {
  const PostgresOptions& options = connector_.options();
  Pool::Lease lease = other_.take();
  TRY_ASSIGN(Connection* const connection, lease.ready());
  TRY(open_schema(connector_.target(), *connection,
                  options.create_if_missing && !options.read_only));
  description_ = fmt::format("PostgreSQL {} ({}, prefix {})", connection->server_version(),
                             connector_.target().shown, connector_.target().prefix);
  for (const std::string& danger : connector_.accepted_dangers()) {
    log(LogLevel::kWarn, "{}: {} (accepted)", connector_.target().shown, danger);
  }
  return {};
}

Result<std::optional<Versioned>> Engine::get(const ReadToken* token, std::string_view key) {
  TRY_ASSIGN(std::vector<std::optional<Versioned>> found, reader_.get(token, {key}));
  return std::move(found.front());
}

Result<CommitResult> Engine::commit(const Batch& batch) {
  TRY(writable());
  return committer_.commit(batch);
}

Status Engine::ingest(const std::vector<Item>& items) {
  TRY(writable());
  TRY(check_ingest(items));
  if (items.empty()) return {};
  const Target& target = connector_.target();
  Pool::Lease lease = other_.take();
  TRY_ASSIGN(Connection* const connection, lease.ready());
  const Answer answer =
      connection->copy_in(fmt::format("COPY {} (key, stamp, value) FROM STDIN (FORMAT binary)",
                                      whole_table(target.prefix)),
                          encode_copy(items));
  if (answer.kind == Answer::Kind::kDone && !answer.wait_cancelled) return {};
  if (answer.kind == Answer::Kind::kRefused) {
    if (answer.state == "23505") {
      return error(EEXIST, "{}: a key of an ingest is there already", target.shown);
    }
    return answer_error(target, answer, "ingesting");
  }
  lease.discard();
  return error(EIO, "{}: whether {} items were ingested is not known: {}; look for them",
               target.shown, items.size(), answer.text);
}

Result<uint64_t> Engine::disk_bytes() {
  TRY_ASSIGN(
      const Rows rows,
      reader_.query(fmt::format(
          "SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::text FROM pg_class c JOIN "
          "pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = '{}' AND "
          "c.relkind = 'r'",
          connector_.target().prefix)));
  return std::strtoull(std::string(rows.bytes(0, 0)).c_str(), nullptr, 10);
}

Result<size_t> Engine::terminate_older_epochs(uint64_t epoch) {
  Pool::Lease lease = other_.take();
  TRY_ASSIGN(Connection* const connection, lease.ready());
  return terminate_sessions_before(connector_.target(), *connection, epoch);
}

}  // namespace
}  // namespace postgres

Result<std::unique_ptr<PostgresEngine>> open_postgres(const std::string& url,
                                                      PostgresOptions options, const Clock& clock) {
  CHECK(options.read_connections_max > 0 && options.tokens_max > 0);
  TRY_ASSIGN(postgres::Target target, postgres::parse_url(url));
  auto engine = std::make_unique<postgres::Engine>(std::move(target), options, clock);
  TRY(engine->open());
  return std::unique_ptr<PostgresEngine>(std::move(engine));
}

Status destroy_postgres(const std::string& url, const Clock& clock) {
  TRY_ASSIGN(const postgres::Target target, postgres::parse_url(url));
  postgres::Connector connector(target, PostgresOptions{.metadata_loss_accepted = true}, clock);
  TRY_ASSIGN(const std::unique_ptr<postgres::Connection> connection,
             connector.connect(postgres::Purpose::kCommit));
  return postgres::drop_schema(target, *connection);
}

}  // namespace shoal::engine
