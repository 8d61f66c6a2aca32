#include "cmd/bucket.h"

#include <algorithm>

#include "format/segment.h"
#include "object/bucket_url.h"
#include "object/folder/folder_store.h"
#include "object/s3/s3_store.h"

namespace shoal::cmd {

using object::BucketUrl;

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
  TRY_ASSIGN(const std::string bytes,
             object::get_and_wait(store, format::owner_marker_key(volume), 0, 4096));
  return format::decode_owner_marker(bytes);
}

Status write_marker(object::ObjectStore& store, const format::OwnerMarker& marker) {
  const std::string bytes = format::encode_owner_marker(marker);
  TRY(object::put_and_wait(store, format::owner_marker_key(marker.volume), as_bytes(bytes)));
  return {};
}

Status check_marker(object::ObjectStore& store, const format::Volume& volume) {
  const Result<format::OwnerMarker> marker = read_marker(store, volume.uuid);
  if (!marker.ok()) {
    if (!marker.error().is(ENOENT))
      return marker.error().in(fmt::format("bucket {}", store.describe()));
    return error(
        ENOENT,
        "bucket {} does not hold volume '{}' ({}); was it emptied or is it another bucket? "
        "--take-over mounts all the same",
        store.describe(), volume.name, volume.uuid.to_string());
  }
  // The marker that `format` wrote names no open; it holds until the first one.
  const bool known =
      std::find(volume.opens.begin(), volume.opens.end(), marker->open_id) != volume.opens.end() ||
      (volume.opens.empty() && marker->open_id.is_zero());
  if (marker->lineage == volume.lineage && known) return {};
  return error(ESTALE,
               "bucket {} was last used by another or newer copy of this metadata (its epoch {}, "
               "ours {}); mount that "
               "one, or take the volume over from it for good with --take-over",
               store.describe(), marker->epoch, volume.epoch);
}

Status check_no_other_volume(object::ObjectStore& store, const Uuid& except) {
  object::ListOptions options;
  options.delimiter = "/";
  for (;;) {
    TRY_ASSIGN(const object::ListPage page, object::list_and_wait(store, "", options));
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
