// The owner's inside; private to meta/. One operation a file in ops/, each a member function below.
//
// How an operation goes:
//   1. `TRY(healthy())`: a poisoned owner answers EIO only.
//   2. Names are checked (check_name), cached reads tell which inodes it touches.
//   3. Latches latches(latches_, {exclusive(a), shared(b)}): all at once, then everything is read
//   again under them
//      (inode_latched, entry_latched); what changed meanwhile starts the operation over.
//   4. Change change(stamps_); edits; commit(change). commit() checks the fence, writes one engine
//   batch, then puts
//      the new versions into the caches, so that a cached read never sees more than the engine has.
//   5. Latches go, the reply leaves. No latch is held across engine.sync().
// Order of locks: rename_mutex_, latches_ (by stripe), segment latches, fence_mutex_, then the
// small mutexes of the tables, which are leaves. Executor tasks hold nothing when they start.
//
// Caches are written through under the exclusive latch and filled on a miss under the latch, shared
// at least: what is in them is never older than the engine. Reading them takes a shard's lock only.
#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "meta/acl.h"
#include "meta/change.h"
#include "meta/extent_work.h"
#include "meta/latches.h"
#include "meta/lock_table.h"
#include "meta/open_table.h"
#include "meta/owner.h"
#include "meta/sieve_cache.h"
#include "meta/stamp_clock.h"

namespace shoal::meta {

Attr attr_of(Ino ino, const format::Inode& inode);
inline Attr attr_of(Ino ino, const InodeRef& ref) { return attr_of(ino, ref->inode); }
// EINVAL, ENAMETOOLONG.
Status check_name(std::string_view name);
uint8_t entry_type(uint32_t mode);  // DT_*
bool in_group(const Caller& who, uint32_t gid);

class Owner final : public Metadata, public Maintenance, public OwnerHandle, public SessionKeeper {
 public:
  // ops/… below; see the headers for what they promise. The constructor is open_owner()'s.
  struct Opening {
    format::Volume volume;
    Stamp volume_stamp = 0;
    Uuid open_id;
    std::array<int64_t, kUsageSlots> usage{};
  };
  Owner(engine::KvEngine& engine, const Clock& clock, Random& random, Executor& executor,
        const OwnerOptions& options, Opening opening);
  ~Owner() override;
  // What a new owner does before it answers anybody: orphans of dead sessions to G, half done
  // ranges finished.
  Status take_over();

  Metadata& metadata() override { return *this; }
  Maintenance& maintenance() override { return *this; }
  SessionKeeper* sessions() override { return this; }
  format::OwnerMarker marker() const override;
  bool knows_open(const Uuid& open_id) const override;

  // sessions.cc
  Result<SessionId> session_open(const std::string& host, const std::string& description) override;
  Result<SessionId> open_kept_session(const std::string& host,
                                      const std::string& description) override;
  std::vector<KeptSession> kept_sessions() override;
  void session_returned(SessionId session, const std::vector<HeldOpen>& opens) override;
  Status session_close(SessionId session) override;
  void session_events(SessionId session, std::function<void(const SessionEvent&)> hear) override;
  Result<uint32_t> store_open(SessionId session, const Uuid& store, const std::string& host,
                              const std::string& path, uint64_t nonce,
                              const std::string& address) override;
  // lookup.cc, getattr.cc
  Result<Attr> lookup(const Request& request, Ino parent, std::string_view name) override;
  Result<Attr> getattr(const Request& request, Ino ino) override;
  std::vector<Result<Attr>> getattr_many(const Request& request,
                                         const std::vector<Ino>& inos) override;
  Result<Attr> lookup_path(const Request& request, Ino from, std::string_view path) override;
  // create.cc, mknod.cc, mkdir.cc, symlink.cc, link.cc
  Result<Attr> mknod(const Request& request, Ino parent, std::string_view name, uint32_t mode,
                     uint64_t rdev) override;
  Result<Attr> mkdir(const Request& request, Ino parent, std::string_view name,
                     uint32_t mode) override;
  Result<Attr> symlink(const Request& request, Ino parent, std::string_view name,
                       std::string_view target) override;
  Result<Attr> link(const Request& request, Ino ino, Ino parent, std::string_view name) override;
  Result<Created> create(const Request& request, Ino parent, std::string_view name, uint32_t mode,
                         OpenFlags flags, bool exclusive) override;
  std::vector<Result<Created>> create_many(const Request& request, Ino parent,
                                           const std::vector<CreateMany>& files) override;
  Result<Opened> create_unnamed(const Request& request, Ino parent, uint32_t mode,
                                OpenFlags flags) override;
  // unlink.cc, rmdir.cc, rename.cc
  Result<Attr> unlink(const Request& request, Ino parent, std::string_view name) override;
  Result<Attr> rmdir(const Request& request, Ino parent, std::string_view name) override;
  Result<Renamed> rename(const Request& request, Ino parent, std::string_view name, Ino new_parent,
                         std::string_view new_name, RenameMode mode) override;
  // readlink.cc, setattr.cc, readdir.cc, open.cc, release.cc
  Result<std::string> readlink(const Request& request, Ino ino) override;
  Result<Attr> setattr(const Request& request, Ino ino, const SetAttr& change) override;
  Result<DirPage> readdir(const Request& request, Ino ino, std::string_view after, size_t limit,
                          bool with_attributes) override;
  Result<Opened> open(const Request& request, Ino ino, OpenFlags flags) override;
  Status release(const Request& request, Ino ino, OpenFlags flags) override;
  // xattr.cc
  Result<std::string> getxattr(const Request& request, Ino ino, std::string_view name) override;
  Result<std::vector<std::string>> listxattr(const Request& request, Ino ino) override;
  Status setxattr(const Request& request, Ino ino, std::string_view name, std::string_view value,
                  XattrMode mode, bool kill_sgid) override;
  Status removexattr(const Request& request, Ino ino, std::string_view name) override;
  // extents.cc, commit_data.cc, copy_range.cc, segments.cc, space.cc
  Result<ExtentPage> extents(const Request& request, Ino ino, uint64_t from, size_t limit) override;
  Status segment_open(const Request& request, const SegmentId& id, uint32_t store) override;
  Result<CommitReply> commit_data(const Request& request, uint32_t store,
                                  const std::vector<DataRecord>& records) override;
  Status segment_stored(const Request& request, const SegmentId& id, uint64_t length,
                        bool complete) override;
  Status segment_discard(const Request& request, const SegmentId& id) override;
  Result<std::vector<SegmentInfo>> store_segments(uint32_t store) override;
  Result<SegmentPlace> segment_place(const SegmentId& id) override;
  Result<Attr> copy_range(const Request& request, Ino source, uint64_t from, Ino target,
                          uint64_t to, uint64_t length) override;
  Result<uint64_t> space_grant(const Request& request, uint64_t want_bytes) override;
  void space_return(const Request& request, uint64_t bytes) override;
  // locks.cc
  Result<Lock> lock_get(const Request& request, Ino ino, const Lock& wanted) override;
  Status lock_set(const Request& request, Ino ino, const Lock& wanted) override;
  uint64_t lock_wait(const Request& request, Ino ino, const Lock& wanted,
                     std::function<void(Status)> done) override;
  void lock_cancel(uint64_t ticket) override;
  void release_posix_locks(const Request& request, Ino ino, uint64_t owner) override;
  void release_handle_locks(const Request& request, Ino ino, uint64_t handle) override;
  // volume.cc
  Result<VolumeUsage> usage() override;
  Result<format::Volume> volume() override;
  Status sync() override;
  Stamp committed_stamp() override { return stamps_.committed(); }
  Stamp synced_stamp() override;
  Stamp inode_stamp(Ino ino) override;
  Status change_volume(const VolumeChange& change) override;
  Result<std::string> path_of(Ino ino) override;
  // trash.cc, reclaim.cc, segments.cc, repack.cc
  Result<std::vector<TrashEntry>> trash_list(size_t limit) override;
  Result<std::pair<Ino, std::string>> trash_restore(
      Ino ino, std::optional<std::pair<Ino, std::string>> place) override;
  Result<uint64_t> trash_empty(uint32_t days) override;
  Result<uint64_t> reclaim(size_t inodes_max) override;
  Result<std::vector<SegmentInfo>> segments(const SegmentId& after, size_t limit) override;
  Result<bool> segment_dying(const SegmentId& id) override;
  Status segment_forget(const SegmentId& id) override;
  Status segment_lost(const SegmentId& id) override;
  Result<std::vector<Reference>> references(const SegmentId& id,
                                            const std::vector<Ino>& writers) override;
  Result<size_t> move_extents(const Request& request, const std::vector<Move>& moves) override;

 private:
  // --- owner.cc: health, time, reading ---
  Status healthy() const {
    return poisoned_.load(std::memory_order_relaxed) ? Status(poisoned_error()) : Status();
  }
  Error poisoned_error() const;
  // The owner may no longer trust its memory: every later call answers EIO.
  void poison(std::string_view why);
  Time now() const { return clock_.now(); }

  // Current version; ENOENT. A miss takes the inode's latch shared, so the caller holds none.
  Result<InodeRef> inode_of(Ino ino);
  // REQUIRES the latch of `ino` (shared will do).
  Result<InodeRef> inode_latched(Ino ino);
  // Committed version without touching the cache, for walks that hold no latch of `ino`.
  Result<InodeRef> inode_peek(Ino ino);
  // A directory: ENOENT when gone or removed, ENOTDIR.
  Result<InodeRef> directory_latched(Ino ino);
  // !exists() when there is no such name. A miss takes the parent's latch shared.
  Result<CachedEntry> entry_of(Ino parent, std::string_view name);
  // REQUIRES the latch of `parent`.
  Result<CachedEntry> entry_latched(Ino parent, std::string_view name);

  // --- commit.cc ---
  // Checks the inode limit (ENOSPC) and the fence, commits, and makes the new versions current. On
  // an error nothing happened, or the owner is poisoned.
  Status commit(Change& change);
  void fill_batch(Change& change);
  Status commit_batch(const engine::Batch& batch);
  Status resolve_unknown(const engine::Batch& batch);
  Status reserve_usage(const Change& change);
  void return_usage(const Change& change);
  void publish(Change& change);

  // --- alloc.cc: numbers that never recur ---
  Result<Ino> new_ino(Ino parent);
  // The next of a counter (sessions, stores, ACL bodies): "session", "store", "acl". Durable before
  // use. A directory is gone: its run of numbers is given up.
  void forget_run(Ino directory);
  Result<uint64_t> new_number(const std::string& counter);
  Result<uint64_t> lease(const std::string& counter, uint64_t count);
  // Together with its number unique even after history was rewound: every open of the volume draws
  // another one.
  uint64_t new_generation() const { return generation_; }

  // --- access.cc: the rules a kernel with default_permissions has applied already. `rwx`: 4 read,
  // 2 write, 1 search ---
  Status check_access(const Caller& who, const format::Inode& inode, unsigned rwx);
  bool may_kill_privileges(const Caller& who, const format::Inode& inode);
  bool may_override(const Caller& who) const { return who.kernel_checked || who.uid == 0; }
  // Sticky directories: EPERM unless the caller owns the directory or what the name names.
  Status check_sticky(const Caller& who, const format::Inode& directory,
                      const format::Inode& child);
  // Mode and ACLs of a new inode: umask, or the parent's default ACL. `child.mode` holds what was
  // asked for.
  Status inherit_mode(Change& change, const Caller& who, const format::Inode& parent,
                      format::Inode& child);
  // After chmod changed `inode.mode`: the access ACL's mask and owner entries follow.
  Status chmod_acl(Change& change, format::Inode& inode);

  // --- acl_store.cc: bodies of ACLs, shared by id ---
  Result<Acl> acl_of(uint64_t id);  // 0: empty
  // The id of the body, which the change writes unless it is there; 0 for an empty one.
  Result<uint64_t> keep_acl(Change& change, const Acl& acl);
  Status set_acl(Change& change, const Caller& who, format::Inode& inode, std::string_view name,
                 std::string_view value, bool kill_sgid);
  Result<std::string> get_acl(const format::Inode& inode, std::string_view name);

  // --- xattr.cc ---
  Status check_xattr_access(const Caller& who, const format::Inode& inode, std::string_view name,
                            bool write);
  // REQUIRES the inode's latch; `inode` is change.edit()'s.
  Status put_xattr(Change& change, Ino ino, format::Inode& inode, std::string_view name,
                   std::string_view value, XattrMode mode);

  // --- trash.cc ---
  Result<std::string> find_trash_key(Ino ino);
  // False when it is no longer there. REQUIRES no latch held.
  Result<bool> free_trashed(Ino ino, uint32_t day);

  // --- names.cc: pieces that the operations on names share ---
  // May a name be added to / removed from this directory: permission, EPERM for immutable or
  // append-only ones.
  Status may_add(const Caller& who, const format::Inode& directory);
  Status may_remove(const Caller& who, const format::Inode& directory, const format::Inode& child);
  struct NewInode {
    uint32_t mode = 0;  // type and permissions, before umask
    uint64_t rdev = 0;
    std::string_view symlink;
  };
  // Everything but the commit: REQUIRES the parent's latch, exclusive, and that the name is absent
  // ("": none).
  Result<Ino> add_inode(Change& change, const Request& request, Ino parent,
                        const InodeRef& directory, std::string_view name, const NewInode& fresh);
  // The whole operation; EEXIST. mknod, mkdir and symlink are this.
  Result<Attr> make(const Request& request, Ino parent, std::string_view name,
                    const NewInode& fresh);
  // Inserts the name, or puts it over a whiteout. REQUIRES !old.exists().
  static void put_entry(Change& change, Ino parent, std::string_view name, const CachedEntry& old,
                        const format::Entry& entry);
  // A directory got or lost a name: entries, mtime, ctime.
  static void touch_directory(format::Inode& directory, int entries_delta, const Time& time);
  // Keeps `L ino parent` right: call for each name added (+1) or removed (-1) of a non-directory,
  // `before` and `after` its link counts around the whole operation. REQUIRES the inode's latch.
  struct NameMove {
    Ino parent = 0;
    int delta = 0;
  };
  Status count_names(Change& change, Ino ino, format::Inode& inode, uint32_t before,
                     std::initializer_list<NameMove> moves);
  // One name of a non-directory went: the last one, or one of several.
  struct LastName {
    Ino parent = 0;
    std::string_view name;
  };
  Status drop_name(Change& change, Ino ino, const InodeRef& ref, const LastName& name);
  // The last name went: to the trash, to O, freed right away, or to G. `parent` and `name` for the
  // trash. REQUIRES the latch. Sets nlink 0.
  Status drop_inode(Change& change, Ino ino, const InodeRef& ref, const LastName& last);
  // Like drop_inode, past the trash: what trash_empty and the last release do.
  Status free_inode(Change& change, Ino ino, const InodeRef& ref);
  // What the last release of an inode with O records does: O goes, and the inode when nobody holds
  // it any more. REQUIRES no latch held.
  void finish_orphan(Ino ino);

  Status create_page(const Request& request, Ino parent, const std::vector<CreateMany>& files,
                     size_t begin, size_t end, std::vector<Result<Created>>& made);
  Status add_attributes(std::vector<DirEntry>& entries);
  Status read_attributes(std::span<DirEntry*> entries);
  Result<std::string> name_in(Ino parent, Ino ino);
  Result<Opened> open_quietly(const Request& request, Ino ino, OpenFlags flags);
  Result<Opened> open_nameless(const Request& request, Ino ino, OpenFlags flags);
  struct RenameCall;  // rename.cc
  Result<Renamed> rename_latched(RenameCall& call);
  Status check_rename(const RenameCall& call);
  Result<bool> is_ancestor(Ino ancestor, Ino of);
  Status exchange_names(Change& change, RenameCall& call);
  Status move_name(Change& change, RenameCall& call);

  // --- reclaim.cc: freeing in pages of ≤ 1,000 records, W and `allocated` in the same commits ---
  // Frees [from, to) of `ino` and erases the marker `G`. REQUIRES the latch, exclusive. On an error
  // the owner is poisoned: the range counts as a hole already.
  Status reclaim_range(Ino ino, Stamp marker, uint64_t from, uint64_t to);
  // One page; returns up to where it came. The last one erases the marker (0: none) too.
  Result<uint64_t> reclaim_page(Ino ino, Stamp marker, uint64_t from, uint64_t to);
  // The inode that `G marker ino` names. Takes the latch.
  Status reclaim_inode(Ino ino, Stamp marker);
  Result<bool> reclaim_xattr_page(Ino ino);
  void schedule_reclaim();
  Status take_over_reclaim();

  // --- commit_data.cc ---
  struct DataCall;
  friend struct DataCall;
  // copy_range.cc: one batch of it; returns the source offset up to which it came.
  struct CopyCall;
  Result<uint64_t> copy_page(CopyCall& call, uint64_t from);
  Result<std::vector<format::Extent>> copy_pieces(const CopyCall& call, uint64_t from,
                                                  uint64_t& end);
  Status add_references(Change& change, std::vector<std::string> keys);
  // repack.cc
  Result<bool> move_extent(const Move& move);
  Status find_references(const SegmentId& id, Ino ino, std::vector<Reference>& found);

  // --- segments.cc: B records, cached; a commit that adds extents holds their latches shared ---
  struct CachedSegment {
    format::Segment record;
    Stamp stamp = 0;
  };
  // ENOENT. REQUIRES the segment's latch.
  Result<CachedSegment> segment_latched(const SegmentId& id);
  Status write_segment(const SegmentId& id, const CachedSegment& before,
                       const format::Segment& after);
  Status erase_segment(const SegmentId& id, Stamp stamp);
  void cache_segment(const SegmentId& id, const CachedSegment& segment);
  Result<int64_t> live_bytes(const SegmentId& id);
  void note_store(format::StoreRecord record);
  Result<std::optional<format::StoreRecord>> store_of(uint32_t number);
  // Adds `check B` of a segment that gets an extent. ENOENT, ESTALE when dying. REQUIRES the
  // segment's latch.
  Status check_segment(Change& change, const SegmentId& id);
  static uint64_t latch_key(const SegmentId& id) { return std::hash<SegmentId>{}(id) | 1; }

  // --- background.cc ---
  // Runs `task` on the executor unless the owner is gone by then; the destructor waits for what
  // runs.
  void start_background();
  void schedule_ageing();
  void stop_background();
  void run_later(std::chrono::nanoseconds delay, std::function<void()> task);
  // trash.cc: empties what is older than trash_days; called hourly.
  void age_trash();
  // trash.cc: frees the oldest trash until `bytes` and `inodes` fit, as far as that goes. Holds no
  // latch.
  void make_room(uint64_t bytes, uint64_t inodes);
  // Room for `inodes` more; empties trash first. ENOSPC. Call before latching.
  Status ensure_inodes(uint64_t inodes);
  // sessions.cc
  Result<SessionId> begin_session(const std::string& host, const std::string& description,
                                  bool outlives_owner);
  bool outlives_owner(SessionId session) const;
  // take_over.cc
  Status take_over_sessions();
  Status take_over_orphans();
  Status take_over_locks();
  // session_events.cc. True when several sessions have the inode open for writing; `opened`: the
  // session `by` has just begun to, which the others hear of. No latch is held.
  bool tell_writers(SessionId by, Ino ino, bool opened);
  void session_began(SessionId session);
  void session_ended(SessionId session);
  // locks.cc: a session ended.
  void drop_session_locks(SessionId session);
  // Writes `K` of an inode whose locks have changed, when sessions that outlive this owner are
  // concerned.
  void keep_locks(SessionId session, Ino ino);
  // The use of a session's grants by what a commit added.
  void use_grant(SessionId session, int64_t bytes);

  engine::KvEngine& engine_;
  const ExtentStore extent_store_{engine_};
  const Clock& clock_;
  Random& random_;
  Executor& executor_;

  std::atomic<bool> poisoned_{false};
  mutable Mutex poison_mutex_;
  std::string poison_reason_ GUARDED_BY(poison_mutex_);

  // F: every commit checks its stamp, change_volume replaces it. Shared by commits, exclusive to
  // change F.
  mutable SharedMutex fence_mutex_;
  format::Volume volume_ GUARDED_BY(fence_mutex_);
  Stamp volume_stamp_ GUARDED_BY(fence_mutex_);
  const uint64_t epoch_;
  const Uuid open_id_;
  const uint64_t generation_;  // of the inodes this owner makes: 32 bits drawn at the open
  const std::string fence_key_;
  std::atomic<uint32_t> trash_days_;  // copies of volume_'s, read without a lock
  std::atomic<uint64_t> capacity_bytes_;
  std::atomic<uint64_t> inodes_max_;

  StampClock stamps_;
  LatchTable latches_;  // by inode number
  Mutex rename_mutex_;  // moves of directories to another parent, one at a time
  struct EntryKey {
    uint64_t hash = 0;
    Ino parent = 0;
    std::string name;
  };
  struct EntryView {
    EntryView(Ino parent, std::string_view name);
    uint64_t hash;
    Ino parent;
    std::string_view name;
  };
  struct EntryHash {
    using is_transparent = void;
    size_t operator()(const EntryKey& key) const { return key.hash; }
    size_t operator()(const EntryView& key) const { return key.hash; }
  };
  struct EntryEqual {
    using is_transparent = void;
    template <typename A, typename B>
    bool operator()(const A& a, const B& b) const {
      return a.hash == b.hash && a.parent == b.parent && a.name == b.name;
    }
  };
  struct InoHash {
    size_t operator()(Ino ino) const { return ino * 0x9e3779b97f4a7c15ull; }
  };
  SieveCache<Ino, InodeRef, InoHash, std::equal_to<Ino>> inodes_;
  SieveCache<EntryKey, CachedEntry, EntryHash, EntryEqual> entries_;
  OpenTable opens_;
  std::array<std::atomic<int64_t>, kUsageSlots> usage_;

  LockTable locks_;
  Mutex acl_mutex_;
  std::unordered_map<uint64_t, Acl> acls_ GUARDED_BY(acl_mutex_);  // by id; bounded

  LatchTable segment_latches_;
  Mutex segments_mutex_;
  std::unordered_map<SegmentId, CachedSegment> segments_ GUARDED_BY(segments_mutex_);

  mutable Mutex sessions_mutex_;
  // Those that live, and who hears for them (null: nobody yet).
  using Hear = std::shared_ptr<const std::function<void(const SessionEvent&)>>;
  std::unordered_map<SessionId, Hear> sessions_ GUARDED_BY(sessions_mutex_);
  std::unordered_set<SessionId> outliving_ GUARDED_BY(sessions_mutex_);
  std::vector<KeptSession> kept_;  // by take_over(), constant afterwards
  Mutex keep_locks_mutex_;         // before engine calls
  std::unordered_set<Ino> kept_locks_ GUARDED_BY(keep_locks_mutex_);  // that have a `K`
  Mutex stores_mutex_;
  std::unordered_map<uint32_t, format::StoreRecord> stores_ GUARDED_BY(stores_mutex_);  // by number
  Mutex space_mutex_;
  std::unordered_map<SessionId, uint64_t> grants_ GUARDED_BY(space_mutex_);
  uint64_t granted_ GUARDED_BY(space_mutex_) = 0;  // Σ grants_

  Mutex lease_mutex_;  // held across the engine: one lease at a time, once in 2^20 inodes
  Mutex alloc_mutex_;
  struct Run {
    Ino next = 0, end = 0;
    uint32_t size = 64;
  };
  std::unordered_map<Ino, Run> runs_ GUARDED_BY(alloc_mutex_);  // by directory; ≤ kRunsMax
  Ino lease_next_ GUARDED_BY(alloc_mutex_) = 0;
  Ino lease_end_ GUARDED_BY(alloc_mutex_) = 0;

  // Shared with tasks of the executor, which may outlive the owner by one wake-up.
  struct Background;
  std::shared_ptr<Background> background_;
  std::atomic<bool> reclaim_scheduled_{false};
};

}  // namespace shoal::meta
