// The bucket of a volume: opened from its URL, and checked against the metadata by the owner marker
// (design §5.2).
#pragma once

#include <memory>
#include <string>

#include "cmd/runtime.h"
#include "format/volume.h"
#include "object/object_store.h"

namespace shoal::cmd {

// Does not create anything but the folder of a file:// bucket when `create_folder` is set.
// Credentials come from the environment or the profile (AWS_*).
struct BucketOpen {
  bool create_folder = false;
};
Result<std::unique_ptr<object::ObjectStore>> open_bucket(Runtime& runtime, Executor& executor,
                                                         const std::string& url, BucketOpen how);

// The marker `<volume>/owner`; ENOENT when the bucket has none.
Result<format::OwnerMarker> read_marker(object::ObjectStore& store, const Uuid& volume);
Status write_marker(object::ObjectStore& store, const format::OwnerMarker& marker);

// Refuses (ESTALE) unless the bucket's last open is one that this metadata knows: a copied or
// rewound database must not write. ENOENT when the bucket does not hold the volume.
Status check_marker(object::ObjectStore& store, const format::Volume& volume);

// Whether the data is this metadata's to remove: not when another copy of it used the bucket last,
// nor before a loaded copy was mounted. A bucket without the marker has no other owner.
Result<bool> owns_data(object::ObjectStore& store, const format::Volume& volume);

// ok when the bucket lists what is below `prefix`: it answers, and the keys are right.
Status check_bucket_answers(object::ObjectStore& store, const std::string& prefix);

// Refuses (EEXIST) when the bucket holds another Shoal volume.
Status check_no_other_volume(object::ObjectStore& store, const Uuid& except);

}  // namespace shoal::cmd
