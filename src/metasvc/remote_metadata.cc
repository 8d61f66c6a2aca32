#include "metasvc/remote_metadata.h"

#include "metasvc/ask.h"

namespace shoal::metasvc {
namespace {

using meta::Request;

class RemoteMetadata final : public meta::Metadata {
 public:
  explicit RemoteMetadata(Transport& transport) : transport_(transport) {}

  // --- sessions and stores ---
  Result<SessionId> session_open(const std::string& host, const std::string& description) override {
    return ask({}, SessionOpen{.host = host, .description = description});
  }
  Status session_close(SessionId session) override {
    return tell(of(session), SessionClose{.session = session});
  }
  void session_events(SessionId session,
                      std::function<void(const meta::SessionEvent&)> hear) override {
    transport_.hear_events(session, std::move(hear));
  }
  Result<uint32_t> store_open(SessionId session, const Uuid& store, const std::string& host,
                              const std::string& path, uint64_t nonce,
                              const std::string& address) override {
    return ask(of(session), StoreOpen{.session = session,
                                      .store = store,
                                      .host = host,
                                      .path = path,
                                      .nonce = nonce,
                                      .address = address});
  }

  // --- namespace ---
  Result<meta::Attr> lookup(const Request& request, Ino parent, std::string_view name) override {
    return named<Lookup>(request, parent, name);
  }
  Result<meta::Attr> getattr(const Request& request, Ino ino) override {
    return ask(request, GetAttr{.ino = ino});
  }
  std::vector<Result<meta::Attr>> getattr_many(const Request& request,
                                               const std::vector<Ino>& inos) override {
    return many(ask(request, GetAttrMany{.inos = inos}), inos.size());
  }
  Result<meta::Attr> lookup_path(const Request& request, Ino from, std::string_view path) override {
    return ask(request, LookupPath{.from = from, .path = std::string(path)});
  }
  Result<meta::Attr> mknod(const Request& request, Ino parent, std::string_view name, uint32_t mode,
                           uint64_t rdev) override {
    return ask(request,
               MakeNode{.parent = parent, .name = std::string(name), .mode = mode, .rdev = rdev});
  }
  Result<meta::Attr> mkdir(const Request& request, Ino parent, std::string_view name,
                           uint32_t mode) override {
    return ask(request, MakeDirectory{.parent = parent, .name = std::string(name), .mode = mode});
  }
  Result<meta::Attr> symlink(const Request& request, Ino parent, std::string_view name,
                             std::string_view target) override {
    return ask(
        request,
        MakeSymlink{.parent = parent, .name = std::string(name), .target = std::string(target)});
  }
  Result<meta::Attr> link(const Request& request, Ino ino, Ino parent,
                          std::string_view name) override {
    return ask(request, Link{.ino = ino, .parent = parent, .name = std::string(name)});
  }
  Result<meta::Created> create(const Request& request, Ino parent, std::string_view name,
                               uint32_t mode, meta::OpenFlags flags, bool exclusive) override {
    return ask(request, Create{.parent = parent,
                               .name = std::string(name),
                               .mode = mode,
                               .flags = flags,
                               .exclusive = exclusive});
  }
  std::vector<Result<meta::Created>> create_many(const Request& request, Ino parent,
                                                 const std::vector<CreateMany>& files) override {
    return many(ask(request, metasvc::CreateMany{.parent = parent, .files = files}), files.size());
  }
  Result<meta::Opened> create_unnamed(const Request& request, Ino parent, uint32_t mode,
                                      meta::OpenFlags flags) override {
    return ask(request, CreateUnnamed{.parent = parent, .mode = mode, .flags = flags});
  }
  Result<meta::Attr> unlink(const Request& request, Ino parent, std::string_view name) override {
    return named<Unlink>(request, parent, name);
  }
  Result<meta::Attr> rmdir(const Request& request, Ino parent, std::string_view name) override {
    return named<RemoveDirectory>(request, parent, name);
  }
  Result<Renamed> rename(const Request& request, Ino parent, std::string_view name, Ino new_parent,
                         std::string_view new_name, meta::RenameMode mode) override {
    return ask(request, Rename{.parent = parent,
                               .name = std::string(name),
                               .new_parent = new_parent,
                               .new_name = std::string(new_name),
                               .mode = mode});
  }
  Result<std::string> readlink(const Request& request, Ino ino) override {
    return ask(request, ReadLink{.ino = ino});
  }
  Result<meta::Attr> setattr(const Request& request, Ino ino,
                             const meta::SetAttr& change) override {
    return ask(request, SetAttributes{.ino = ino, .change = change});
  }
  Result<meta::DirPage> readdir(const Request& request, Ino ino, std::string_view after,
                                size_t limit, bool with_attributes) override {
    return ask(request, ReadDirectory{.ino = ino,
                                      .after = std::string(after),
                                      .limit = limit,
                                      .with_attributes = with_attributes});
  }

  // --- open files ---
  Result<meta::Opened> open(const Request& request, Ino ino, meta::OpenFlags flags) override {
    return ask(request, Open{.ino = ino, .flags = flags});
  }
  Status release(const Request& request, Ino ino, meta::OpenFlags flags) override {
    return tell(request, Release{.ino = ino, .flags = flags});
  }

  // --- extended attributes ---
  Result<std::string> getxattr(const Request& request, Ino ino, std::string_view name) override {
    return ask(request, GetXattr{.ino = ino, .name = std::string(name)});
  }
  Result<std::vector<std::string>> listxattr(const Request& request, Ino ino) override {
    return ask(request, ListXattr{.ino = ino});
  }
  Status setxattr(const Request& request, Ino ino, std::string_view name, std::string_view value,
                  XattrMode mode, bool kill_sgid) override {
    return tell(request, SetXattr{.ino = ino,
                                  .name = std::string(name),
                                  .value = std::string(value),
                                  .mode = mode,
                                  .kill_sgid = kill_sgid});
  }
  Status removexattr(const Request& request, Ino ino, std::string_view name) override {
    return tell(request, RemoveXattr{.ino = ino, .name = std::string(name)});
  }

  // --- data ---
  Result<meta::ExtentPage> extents(const Request& request, Ino ino, uint64_t from,
                                   size_t limit) override {
    return ask(request, Extents{.ino = ino, .from = from, .limit = limit});
  }
  Status segment_open(const Request& request, const SegmentId& id, uint32_t store) override {
    return tell(request, SegmentOpen{.id = id, .store = store});
  }
  Result<meta::CommitReply> commit_data(const Request& request, uint32_t store,
                                        const std::vector<meta::DataRecord>& records) override {
    return ask(request, CommitData{.store = store, .records = records});
  }
  Status segment_stored(const Request& request, const SegmentId& id, uint64_t length,
                        bool complete) override {
    return tell(request, SegmentStored{.id = id, .length = length, .complete = complete});
  }
  Status segment_discard(const Request& request, const SegmentId& id) override {
    return tell(request, SegmentDiscard{.id = id});
  }
  Result<std::vector<meta::SegmentInfo>> store_segments(uint32_t store) override {
    return ask({}, StoreSegments{.store = store});
  }
  Result<meta::SegmentPlace> segment_place(const SegmentId& id) override {
    return ask({}, SegmentPlace{.id = id});
  }
  Result<meta::Attr> copy_range(const Request& request, Ino source, uint64_t from, Ino target,
                                uint64_t to, uint64_t length) override {
    return ask(
        request,
        CopyRange{.source = source, .from = from, .target = target, .to = to, .length = length});
  }
  Result<uint64_t> space_grant(const Request& request, uint64_t want_bytes) override {
    return ask(request, SpaceGrant{.want_bytes = want_bytes});
  }
  void space_return(const Request& request, uint64_t bytes) override {
    tell(request, SpaceReturn{.bytes = bytes}).ignore("the session's end gives it back");
  }

  // --- locks ---
  Result<meta::Lock> lock_get(const Request& request, Ino ino, const meta::Lock& wanted) override {
    return lock<LockGet>(request, ino, wanted);
  }
  Status lock_set(const Request& request, Ino ino, const meta::Lock& wanted) override {
    return status(lock<LockSet>(request, ino, wanted));
  }
  uint64_t lock_wait(const Request& request, Ino ino, const meta::Lock& wanted,
                     std::function<void(Status)> done) override {
    return transport_.wait_for_lock(request, ino, wanted,
                                    [done = std::move(done)](const Result<std::string>& answer) {
                                      done(answer.ok() ? Status() : Status(answer.error()));
                                    });
  }
  void lock_cancel(uint64_t ticket) override { transport_.cancel_lock(ticket); }
  void release_posix_locks(const Request& request, Ino ino, uint64_t owner) override {
    tell(request, ReleasePosixLocks{.ino = ino, .owner = owner})
        .ignore("a lost session has no locks");
  }
  void release_handle_locks(const Request& request, Ino ino, uint64_t handle) override {
    tell(request, ReleaseHandleLocks{.ino = ino, .handle = handle})
        .ignore("a lost session has no locks");
  }

  // --- volume ---
  Result<meta::VolumeUsage> usage() override { return ask({}, Usage{}); }
  Result<format::Volume> volume() override { return ask({}, DescribeVolume{}); }
  Status sync() override { return tell({}, Sync{}); }
  Stamp committed_stamp() override { return 0; }
  Stamp synced_stamp() override { return 0; }
  Stamp inode_stamp(Ino) override { return 0; }

 private:
  static Request of(SessionId session) {
    Request request;
    request.session = session;
    return request;
  }
  template <typename T>
  static Status status(const Result<T>& result) {
    return result.ok() ? Status() : Status(result.error());
  }

  template <typename M>
  Result<typename M::Reply> ask(const Request& request, M arguments) {
    return metasvc::ask(transport_, request, std::move(arguments));
  }
  template <typename M>
  Status tell(const Request& request, M arguments) {
    return metasvc::tell(transport_, request, std::move(arguments));
  }
  template <typename M>
  Result<typename M::Reply> named(const Request& request, Ino parent, std::string_view name) {
    return ask(request, M{.parent = parent, .name = std::string(name)});
  }
  template <typename M>
  Result<typename M::Reply> lock(const Request& request, Ino ino, const meta::Lock& wanted) {
    return ask(request, M{.ino = ino, .wanted = wanted});
  }
  // One answer per question, whatever came.
  template <typename T>
  static std::vector<Result<T>> many(Result<std::vector<Result<T>>> answers, size_t count) {
    if (answers.ok() && answers->size() == count) return *std::move(answers);
    const Error why = answers.ok()
                          ? error(EBADMSG, "{} answers to {} questions", answers->size(), count)
                          : answers.error();
    return std::vector<Result<T>>(count, Result<T>(why));
  }

  Transport& transport_;
};

}  // namespace

std::unique_ptr<meta::Metadata> make_remote_metadata(Transport& transport) {
  return std::make_unique<RemoteMetadata>(transport);
}

}  // namespace shoal::metasvc
