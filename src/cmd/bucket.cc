#include "cmd/bucket.h"

#include <algorithm>

#include "format/segment.h"
#include "object/bucket_url.h"
#include "object/folder/folder_store.h"
#include "object/s3/s3_store.h"

namespace shoal::cmd {

using object::BucketUrl;

namespace {

// A command that waits for a bucket nobody serves says so soon; mounts that live wait without end.
constexpr std::chrono::milliseconds kAnswerWait{10'000};

object::CallOptions soon() {
  object::CallOptions options;
  options.deadline = kAnswerWait;
  return options;
}

const char* remedy(int code) {
  switch (code) {
    case EACCES:
      return "; check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (or the profile), and what that "
             "key "
             "may do with the bucket";
    case ENXIO:
      return "; make the bucket, or correct its name";
    case ETIMEDOUT:
      return "; is the server running, and is its address in the bucket URL right?";
    default:
      return "";
  }
}

Error explained(const object::ObjectStore& store, const Error& error) {
  std::string what = error.text();
  while (what.ends_with('.')) what.pop_back();  // of the server's own words
  return shoal::error(error.code(), "bucket {}: {}{}", store.describe(), what,
                      remedy(error.code()));
}

}  // namespace

Result<std::unique_ptr<object::ObjectStore>> open_bucket(Runtime& runtime, Executor& executor,
                                                         const std::string& text, BucketOpen how) {
  TRY_ASSIGN(const BucketUrl url, BucketUrl::parse(text));
  switch (url.kind) {
    case BucketUrl::Kind::kFile:
      if (how.create_folder) TRY(make_dirs(runtime.fs, url.folder));
      return object::open_folder_store(runtime.fs, executor, url.folder);
    case BucketUrl::Kind::kS3: {
      TRY_ASSIGN(auto credentials,
                 object::make_default_credentials(runtime.fs, runtime.clock, runtime.random));
      return object::open_s3_store(url, std::move(credentials), runtime.clock, runtime.random);
    }
    case BucketUrl::Kind::kMemory:
      break;
  }
  return error(EINVAL,
               "'{}': a volume needs a bucket that lasts; use file:///folder or s3://bucket/prefix",
               text);
}

Result<format::OwnerMarker> read_marker(object::ObjectStore& store, const Uuid& volume) {
  object::GetOptions options;
  options.call = soon();
  const Result<std::string> bytes =
      object::get_and_wait(store, format::owner_marker_key(volume), 0, 4096, options);
  if (bytes.code() == ENOENT) return bytes.error();
  if (!bytes.ok()) return explained(store, bytes.error());
  return format::decode_owner_marker(*bytes);
}

Status write_marker(object::ObjectStore& store, const format::OwnerMarker& marker) {
  const std::string bytes = format::encode_owner_marker(marker);
  TRY(object::put_and_wait(store, format::owner_marker_key(marker.volume), as_bytes(bytes)));
  return {};
}

namespace {

bool knows_open(const format::Volume& volume, const Uuid& open_id) {
  // The marker of volumes made by 0.1 names no open; it holds until the first one.
  return std::find(volume.opens.begin(), volume.opens.end(), open_id) != volume.opens.end() ||
         (volume.opens.empty() && open_id.is_zero());
}

}  // namespace

Result<bool> owns_data(object::ObjectStore& store, const format::Volume& volume) {
  if (volume.moved) return false;
  const Result<format::OwnerMarker> marker = read_marker(store, volume.uuid);
  if (marker.code() == ENOENT) return true;
  if (!marker.ok()) return marker.error();
  return marker->lineage == volume.lineage && knows_open(volume, marker->open_id);
}

Status check_marker(object::ObjectStore& store, const format::Volume& volume) {
  const Result<format::OwnerMarker> marker = read_marker(store, volume.uuid);
  if (!marker.ok()) {
    if (!marker.error().is(ENOENT)) return marker.error();
    return error(
        ENOENT,
        "bucket {} does not hold volume '{}' ({}); was it emptied or is it another bucket? "
        "--take-over mounts all the same",
        store.describe(), volume.name, volume.uuid.to_string());
  }
  // A loaded copy goes on from the open that the dump was made under, while nobody else did.
  const bool ours = marker->lineage == volume.lineage ||
                    (volume.lineage_before != 0 && marker->lineage == volume.lineage_before);
  if (ours && knows_open(volume, marker->open_id)) return {};
  return error(ESTALE,
               "bucket {} was last used by another or newer copy of this metadata (its epoch {}, "
               "ours {}); mount that "
               "one, or take the volume over from it for good with --take-over",
               store.describe(), marker->epoch, volume.epoch);
}

Status check_bucket_answers(object::ObjectStore& store, const std::string& prefix) {
  object::ListOptions options;
  options.call = soon();
  const Result<object::ListPage> page = object::list_and_wait(store, prefix, options);
  return page.ok() ? Status() : Status(explained(store, page.error()));
}

Status check_no_other_volume(object::ObjectStore& store, const Uuid& except) {
  object::ListOptions options;
  options.call = soon();
  options.delimiter = "/";
  for (;;) {
    const Result<object::ListPage> listed = object::list_and_wait(store, "", options);
    if (!listed.ok()) return explained(store, listed.error());
    const object::ListPage& page = *listed;
    for (const std::string& prefix : page.common_prefixes) {
      const Result<Uuid> uuid = Uuid::parse(std::string_view(prefix).substr(0, prefix.size() - 1));
      if (!uuid.ok() || *uuid == except) continue;
      const Result<format::OwnerMarker> marker = read_marker(store, *uuid);
      if (!marker.ok()) continue;
      return error(EEXIST,
                   "bucket {} holds another Shoal volume ({}); use a prefix of its own, as in "
                   "s3://bucket/prefix",
                   store.describe(), uuid->to_string());
    }
    if (!page.truncated) return {};
    options.start_after = page.next_start_after;
  }
}

}  // namespace shoal::cmd
