// ClientImpl: client::Client over the three seams metadata, staging and reader. Internal: adapters
// see client.h.
//
// One file per kind of call: client.cc (life, whole mount, locks), client_namespace.cc,
// client_open.cc, client_write.cc, client_read.cc, client_sync.cc. The moving parts are their own
// classes: InodeTable (per-inode state), Committer (journal, sync, commit), SpacePool,
// DurabilityClasses.
#pragma once

#include "client/client.h"
#include "client/committer.h"
#include "client/durability_classes.h"
#include "client/handle_table.h"
#include "client/inode_table.h"
#include "client/read_plan.h"
#include "client/removed_directories.h"
#include "client/seen_versions.h"
#include "client/space_pool.h"
#include "format/inode.h"
#include "sys/executor.h"
#include "sys/gate.h"

namespace shoal::client {

class ClientImpl final : public Client {
 public:
  ClientImpl(const Seams& seams, const ClientOptions& options, const format::Volume& volume);
  ~ClientImpl() override;

  // For tests of what a crash leaves: goes without journaling, syncing or committing anything.
  void abandon() { abandoned_ = true; }
  Committer& committer() { return committer_; }
  InodeTable& inodes() { return table_; }

  void set_invalidation_sink(InvalidationSink* sink) override;
  bool shared() const override { return shared_; }
  void session_lost(SessionId fresh) override;

  Result<Attr> lookup(const Caller& who, Ino parent, std::string_view name) override;
  Result<Attr> getattr(const Caller& who, Ino ino) override;
  Result<Attr> setattr(const Caller& who, Ino ino, const SetAttrRequest& request) override;
  Result<Attr> mknod(const Caller& who, Ino parent, std::string_view name, uint32_t mode,
                     uint64_t rdev) override;
  Result<Attr> mkdir(const Caller& who, Ino parent, std::string_view name, uint32_t mode) override;
  Result<Attr> symlink(const Caller& who, Ino parent, std::string_view name,
                       std::string_view target) override;
  Result<Attr> link(const Caller& who, Ino ino, Ino parent, std::string_view name) override;
  Status unlink(const Caller& who, Ino parent, std::string_view name) override;
  Status rmdir(const Caller& who, Ino parent, std::string_view name) override;
  Status rename(const Caller& who, Ino parent, std::string_view name, Ino new_parent,
                std::string_view new_name, meta::RenameMode mode) override;
  Result<std::string> readlink(const Caller& who, Ino ino) override;
  Result<meta::DirPage> readdir(const Caller& who, Ino ino, std::string_view after, size_t limit,
                                bool with_attributes) override;
  Result<StatFs> statfs() override;

  void forgotten(Ino ino) override { removed_.forgotten(ino); }
  void named_by_others(Ino parent, const std::string& name, Ino ino) override;
  Result<std::string> getxattr(const Caller& who, Ino ino, std::string_view name) override;
  Result<std::vector<std::string>> listxattr(const Caller& who, Ino ino) override;
  Status setxattr(const Caller& who, Ino ino, std::string_view name, std::string_view value,
                  meta::Metadata::XattrMode mode, bool kill_sgid) override;
  Status removexattr(const Caller& who, Ino ino, std::string_view name) override;

  Result<OpenedFile> open(const Caller& who, Ino ino, const OpenOptions& options) override;
  Result<OpenedFile> create(const Caller& who, Ino parent, std::string_view name, uint32_t mode,
                            const OpenOptions& options, bool exclusive) override;
  Result<OpenedFile> create_unnamed(const Caller& who, Ino parent, uint32_t mode,
                                    const OpenOptions& options) override;
  Result<size_t> read(HandleId handle, uint64_t offset, MutableBytes into) override;
  Result<Written> write(const Caller& who, HandleId handle, uint64_t offset, ByteView bytes,
                        bool kill_privileges) override;
  Status flush(HandleId handle, uint64_t lock_owner) override;
  using Client::fsync;
  Status fsync(HandleId handle, bool data_only) override;
  DurabilityClasses::Found durability_of(Ino directory) override {
    return durability_.find(directory);
  }
  Result<OpenedDirectory> open_directory(const Caller& who, Ino ino) override;
  Status fsync_dir(Ino ino) override;
  Status release(HandleId handle) override;
  Result<bool> fallocate(const Caller& who, HandleId handle, FallocateMode mode, uint64_t offset,
                         uint64_t length) override;
  Result<uint64_t> seek_data(HandleId handle, uint64_t offset) override;
  Result<uint64_t> seek_hole(HandleId handle, uint64_t offset) override;
  Result<Written> copy_range(const Caller& who, HandleId from, uint64_t from_offset, HandleId to,
                             uint64_t to_offset, uint64_t length) override;
  Ino ino_of(HandleId handle) override;

  Result<meta::Lock> lock_get(const Caller& who, Ino ino, const meta::Lock& wanted) override;
  Status lock_set(const Caller& who, Ino ino, const meta::Lock& wanted) override;
  uint64_t lock_wait(const Caller& who, Ino ino, const meta::Lock& wanted,
                     std::function<void(Status)> done) override;
  void lock_cancel(uint64_t ticket) override;

  Status flush_all(bool store, const std::function<void(const ClientStatus&)>& progress) override;
  ClientStatus status() override;
  Result<std::vector<format::Extent>> extents_of(const Caller& who, Ino ino) override;

 private:
  meta::Request request(const Caller& who);
  meta::Request system_request();  // as the mount itself, past permission checks
  meta::Metadata& metadata() { return seams_.metadata; }
  Status may_write() const;  // EROFS

  // --- attributes (client.cc) ---
  // Overlays what this mount has not committed. `before`: changes().now() from before `attr` was
  // fetched.
  Result<Attr> settled(Attr attr, uint64_t before);
  // False: the answer is older than what this mount knows, the owner has to be asked again.
  bool overlay(Attr& attr);
  uint64_t allocated_bytes(InodeState& inode) REQUIRES(inode.latch);
  // Fills the inode's base from an answer fetched while the caller already held its reference, or
  // moves it on when others changed the file since. True: call pages_changed() without the latch.
  [[nodiscard]] bool learn(InodeState& inode, const Attr& attr) REQUIRES(inode.latch);
  Result<InodeRef> known_inode(Ino ino);

  void note_lock(const meta::Lock& wanted);
  // The handle that asked for it holds it, or holds none any more.
  void note_granted(const meta::Lock& wanted);

  // --- shared volumes (client_shared.cc) ---
  void listen();
  void hear(const meta::SessionEvent& event);
  // Commits everything, has the kernel forget what it was told for long.
  void become_shared();
  // Asks the owner what the file is now.
  Status refresh(InodeState& inode);
  // The kernel's pages from `from` on are old.
  void pages_changed(Ino ino, uint64_t from = 0);
  // Calls body(sink) unless there is none; the sink does not go meanwhile.
  template <typename Body>
  void with_sink(const Body& body);
  // Like committer_.commit(); what failed reaches every open file (errseq).
  Status commit_or_fail(InodeState& inode);
  // Nobody will close what was changed without a handle; and what several write, each has to see.
  Status commit_if_others_wait(InodeState& inode);
  // Before a lock of the inode goes.
  Status commit_before_unlock(Ino ino);
  // After a lock was granted: what the program reads now is at least what the unlocker wrote.
  // `done` may run on another thread.
  void see_what_others_wrote(Ino ino, const std::function<void(Status)>& done);
  void note_pages(OpenFile& file);

  // --- namespace (client_namespace.cc) ---
  Status check_times(const Caller& who, Ino ino, const meta::SetAttr& change);
  Status check_truncate(const Caller& who, Ino ino, std::optional<HandleId> handle);
  Result<meta::Metadata::Renamed> rename_safely(const Caller& who, Ino parent,
                                                std::string_view name, Ino new_parent,
                                                std::string_view new_name, meta::RenameMode mode);
  void lost_a_name(const Attr& attr);
  void moved(const Attr& attr);
  void xattr_changed(Ino ino, std::string_view name);

  // --- open (client_open.cc) ---
  Result<OpenFilePtr> usable(HandleId handle);  // EBADF; EIO: dead
  void reopen(OpenFile& file);
  Status check_open(const Attr& attr, const OpenOptions& options) const;
  Result<OpenedFile> opened(const Caller& who, InodeRef inode, const meta::Opened& from_owner,
                            const OpenOptions& options, uint64_t before);
  void drop_if_gone(InodeState& inode);
  void release_locks(InodeState& inode, HandleId handle);

  // --- write (client_write.cc) ---
  Result<bool> kill_privileges(InodeState& inode, bool asked);
  Status write_part(OpenFile& file, uint64_t offset, ByteView bytes);
  Status take_space(uint64_t bytes);
  // A truncate, punch, zero or set-times: into the list and into the journal.
  Status list_operation(InodeState& inode, format::RecordKind kind, uint16_t flags, uint64_t offset,
                        uint64_t length);
  Status truncate(InodeState& inode, uint64_t size);
  Status list_times(InodeState& inode, const meta::SetAttr& attr);
  Operation& new_operation(InodeState& inode, format::RecordKind kind) REQUIRES(inode.latch);

  // --- read (client_read.cc) ---
  Status fetch_extents(InodeState& inode, uint64_t from);
  Status execute(const ReadPlan& plan, OpenFile& file, uint64_t offset, MutableBytes into);
  Result<uint64_t> seek(HandleId handle, uint64_t offset, bool data);

  // --- sync (client_sync.cc) ---
  Status sync_inode(InodeState& inode);
  Status hear_errors(OpenFile& file);
  Status commit_in_class(InodeState& inode, format::Durability durability);
  // Class object: in the bucket, and the engine knows.
  Status store(Ino ino);
  Status wait_stored_elsewhere(Ino ino);
  Result<bool> commit_before_rename(const Caller& who, Ino parent, std::string_view name,
                                    Ino class_of);

  const Seams seams_;
  const ClientOptions options_;
  const format::Volume volume_;
  std::atomic<SessionId> session_;
  struct Sink {
    InvalidationSink* sink = nullptr;
    Gate gate;
  };
  Mutex sink_mutex_;
  std::shared_ptr<Sink> sink_ GUARDED_BY(sink_mutex_);  // shared with calls of it under way
  std::atomic<bool> shared_;
  std::atomic<bool> becoming_shared_ = false;
  // What tasks and the owner's calls pass to get in.
  const std::shared_ptr<Gate> gate_ = std::make_shared<Gate>();
  std::atomic<uint64_t> next_sequence_ = 0;
  std::atomic<bool> posix_locks_used_ = false;
  std::atomic<bool> handle_locks_used_ = false;
  bool abandoned_ = false;

  // Destroyed from the end: handles before the table their inodes are in.
  InodeTable table_;
  SeenVersions seen_;
  SpacePool space_;
  DurabilityClasses durability_;
  RemovedDirectories removed_;
  Committer committer_;
  HandleTable handles_;
  std::unique_ptr<Periodic> forget_classes_;  // others may set them
};

}  // namespace shoal::client
