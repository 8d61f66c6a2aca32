// A bucket in a folder: fsync(file), rename, fsync(directory); new directories are fsynced in their
// parents. For one machine, and as the peer of the S3 store in the contract suite.
//
// The object `a/b` is the file `a/b.obj`, so that `a` (`a.obj`) and `a/b` can both be there;
// key_path.h has the exact rules. Several processes may use one folder. Deadlines and priorities
// are not looked at: a disk answers or hangs.
#pragma once

#include <memory>

#include "object/object_store.h"
#include "sys/executor.h"
#include "sys/local_fs.h"

namespace shoal::object {

// `fs` and `executor` outlive the store. ENOENT when the folder is not there.
Result<std::unique_ptr<ObjectStore>> open_folder_store(LocalFs& fs, Executor& executor,
                                                       const Path& folder);

}  // namespace shoal::object
