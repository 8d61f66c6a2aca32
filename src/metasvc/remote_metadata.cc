#include "metasvc/remote_metadata.h"

#include "metasvc/codec.h"

namespace shoal::metasvc {
namespace {

using meta::Request;

class RemoteMetadata final : public meta::Metadata {
 public:
  explicit RemoteMetadata(Transport& transport) : transport_(transport) {}

  // --- sessions and stores ---
  Result<SessionId> session_open(const std::string& host, const std::string& description) override {
    SessionOpen a;
    a.host = host;
    a.description = description;
    return ask({}, std::move(a));
  }
  Status session_close(SessionId session) override {
    SessionClose a;
    a.session = session;
    return tell(of(session), std::move(a));
  }
  Result<uint32_t> store_open(SessionId session, const Uuid& store, const std::string& host,
                              const std::string& path, uint64_t nonce) override {
    StoreOpen a;
    a.session = session;
    a.store = store;
    a.host = host;
    a.path = path;
    a.nonce = nonce;
    return ask(of(session), std::move(a));
  }

  // --- namespace ---
  Result<meta::Attr> lookup(const Request& request, Ino parent, std::string_view name) override {
    return named<Lookup>(request, parent, name);
  }
  Result<meta::Attr> getattr(const Request& request, Ino ino) override {
    GetAttr a;
    a.ino = ino;
    return ask(request, std::move(a));
  }
  std::vector<Result<meta::Attr>> getattr_many(const Request& request,
                                               const std::vector<Ino>& inos) override {
    GetAttrMany a;
    a.inos = inos;
    return many(ask(request, std::move(a)), inos.size());
  }
  Result<meta::Attr> lookup_path(const Request& request, Ino from, std::string_view path) override {
    LookupPath a;
    a.from = from;
    a.path = path;
    return ask(request, std::move(a));
  }
  Result<meta::Attr> mknod(const Request& request, Ino parent, std::string_view name, uint32_t mode,
                           uint64_t rdev) override {
    MakeNode a;
    a.parent = parent;
    a.name = name;
    a.mode = mode;
    a.rdev = rdev;
    return ask(request, std::move(a));
  }
  Result<meta::Attr> mkdir(const Request& request, Ino parent, std::string_view name,
                           uint32_t mode) override {
    MakeDirectory a;
    a.parent = parent;
    a.name = name;
    a.mode = mode;
    return ask(request, std::move(a));
  }
  Result<meta::Attr> symlink(const Request& request, Ino parent, std::string_view name,
                             std::string_view target) override {
    MakeSymlink a;
    a.parent = parent;
    a.name = name;
    a.target = target;
    return ask(request, std::move(a));
  }
  Result<meta::Attr> link(const Request& request, Ino ino, Ino parent,
                          std::string_view name) override {
    Link a;
    a.ino = ino;
    a.parent = parent;
    a.name = name;
    return ask(request, std::move(a));
  }
  Result<meta::Created> create(const Request& request, Ino parent, std::string_view name,
                               uint32_t mode, meta::OpenFlags flags, bool exclusive) override {
    Create a;
    a.parent = parent;
    a.name = name;
    a.mode = mode;
    a.flags = flags;
    a.exclusive = exclusive;
    return ask(request, std::move(a));
  }
  std::vector<Result<meta::Created>> create_many(const Request& request, Ino parent,
                                                 const std::vector<CreateMany>& files) override {
    metasvc::CreateMany a;
    a.parent = parent;
    a.files = files;
    return many(ask(request, std::move(a)), files.size());
  }
  Result<meta::Opened> create_unnamed(const Request& request, Ino parent, uint32_t mode,
                                      meta::OpenFlags flags) override {
    CreateUnnamed a;
    a.parent = parent;
    a.mode = mode;
    a.flags = flags;
    return ask(request, std::move(a));
  }
  Result<meta::Attr> unlink(const Request& request, Ino parent, std::string_view name) override {
    return named<Unlink>(request, parent, name);
  }
  Result<meta::Attr> rmdir(const Request& request, Ino parent, std::string_view name) override {
    return named<RemoveDirectory>(request, parent, name);
  }
  Result<Renamed> rename(const Request& request, Ino parent, std::string_view name, Ino new_parent,
                         std::string_view new_name, meta::RenameMode mode) override {
    Rename a;
    a.parent = parent;
    a.name = name;
    a.new_parent = new_parent;
    a.new_name = new_name;
    a.mode = mode;
    return ask(request, std::move(a));
  }
  Result<std::string> readlink(const Request& request, Ino ino) override {
    ReadLink a;
    a.ino = ino;
    return ask(request, std::move(a));
  }
  Result<meta::Attr> setattr(const Request& request, Ino ino,
                             const meta::SetAttr& change) override {
    SetAttributes a;
    a.ino = ino;
    a.change = change;
    return ask(request, std::move(a));
  }
  Result<meta::DirPage> readdir(const Request& request, Ino ino, std::string_view after,
                                size_t limit, bool with_attributes) override {
    ReadDirectory a;
    a.ino = ino;
    a.after = after;
    a.limit = limit;
    a.with_attributes = with_attributes;
    return ask(request, std::move(a));
  }

  // --- open files ---
  Result<meta::Opened> open(const Request& request, Ino ino, meta::OpenFlags flags) override {
    Open a;
    a.ino = ino;
    a.flags = flags;
    return ask(request, std::move(a));
  }
  Status release(const Request& request, Ino ino, meta::OpenFlags flags) override {
    Release a;
    a.ino = ino;
    a.flags = flags;
    return tell(request, std::move(a));
  }

  // --- extended attributes ---
  Result<std::string> getxattr(const Request& request, Ino ino, std::string_view name) override {
    GetXattr a;
    a.ino = ino;
    a.name = name;
    return ask(request, std::move(a));
  }
  Result<std::vector<std::string>> listxattr(const Request& request, Ino ino) override {
    ListXattr a;
    a.ino = ino;
    return ask(request, std::move(a));
  }
  Status setxattr(const Request& request, Ino ino, std::string_view name, std::string_view value,
                  XattrMode mode, bool kill_sgid) override {
    SetXattr a;
    a.ino = ino;
    a.name = name;
    a.value = value;
    a.mode = mode;
    a.kill_sgid = kill_sgid;
    return tell(request, std::move(a));
  }
  Status removexattr(const Request& request, Ino ino, std::string_view name) override {
    RemoveXattr a;
    a.ino = ino;
    a.name = name;
    return tell(request, std::move(a));
  }

  // --- data ---
  Result<meta::ExtentPage> extents(const Request& request, Ino ino, uint64_t from,
                                   size_t limit) override {
    Extents a;
    a.ino = ino;
    a.from = from;
    a.limit = limit;
    return ask(request, std::move(a));
  }
  Status segment_open(const Request& request, const SegmentId& id, uint32_t store) override {
    SegmentOpen a;
    a.id = id;
    a.store = store;
    return tell(request, std::move(a));
  }
  Result<meta::CommitReply> commit_data(const Request& request, uint32_t store,
                                        const std::vector<meta::DataRecord>& records) override {
    CommitData a;
    a.store = store;
    a.records = records;
    return ask(request, std::move(a));
  }
  Status segment_stored(const Request& request, const SegmentId& id, uint64_t length,
                        bool complete) override {
    SegmentStored a;
    a.id = id;
    a.length = length;
    a.complete = complete;
    return tell(request, std::move(a));
  }
  Status segment_discard(const Request& request, const SegmentId& id) override {
    SegmentDiscard a;
    a.id = id;
    return tell(request, std::move(a));
  }
  Result<std::vector<meta::SegmentInfo>> store_segments(uint32_t store) override {
    StoreSegments a;
    a.store = store;
    return ask({}, std::move(a));
  }
  Result<meta::Attr> copy_range(const Request& request, Ino source, uint64_t from, Ino target,
                                uint64_t to, uint64_t length) override {
    CopyRange a;
    a.source = source;
    a.from = from;
    a.target = target;
    a.to = to;
    a.length = length;
    return ask(request, std::move(a));
  }
  Result<uint64_t> space_grant(const Request& request, uint64_t want_bytes) override {
    SpaceGrant a;
    a.want_bytes = want_bytes;
    return ask(request, std::move(a));
  }
  void space_return(const Request& request, uint64_t bytes) override {
    SpaceReturn a;
    a.bytes = bytes;
    tell(request, std::move(a)).ignore("the session's end gives it back");
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
    ReleasePosixLocks a;
    a.ino = ino;
    a.owner = owner;
    tell(request, std::move(a)).ignore("a lost session has no locks");
  }
  void release_handle_locks(const Request& request, Ino ino, uint64_t handle) override {
    ReleaseHandleLocks a;
    a.ino = ino;
    a.handle = handle;
    tell(request, std::move(a)).ignore("a lost session has no locks");
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
  static rpc::Identity identity(const Request& request) {
    return {request.session, request.sequence, request.slot};
  }
  template <typename T>
  static Status status(const Result<T>& result) {
    return result.ok() ? Status() : Status(result.error());
  }

  template <typename M>
  Result<typename M::Reply> ask(const Request& request, M arguments) {
    const Asked<M> asked{request.caller, std::move(arguments)};
    TRY_ASSIGN(const std::string reply,
               transport_.call(M::kNumber, identity(request), encode(asked)));
    return decode<typename M::Reply>(reply);
  }
  template <typename M>
  Status tell(const Request& request, M arguments) {
    return status(ask(request, std::move(arguments)));
  }
  template <typename M>
  Result<typename M::Reply> named(const Request& request, Ino parent, std::string_view name) {
    M a;
    a.parent = parent;
    a.name = name;
    return ask(request, std::move(a));
  }
  template <typename M>
  Result<typename M::Reply> lock(const Request& request, Ino ino, const meta::Lock& wanted) {
    M a;
    a.ino = ino;
    a.wanted = wanted;
    return ask(request, std::move(a));
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
