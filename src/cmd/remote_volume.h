// The way to a volume that a meta server owns: its address, the token, TLS.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "cmd/meta_url.h"
#include "cmd/runtime.h"
#include "metasvc/remote_transport.h"

namespace shoal::cmd {

// The token of `volume`, from --token-file, SHOAL_TOKEN, SHOAL_TOKEN_FILE, or the file
// /etc/shoal/VOLUME.token. EACCES, saying how to get one, when none of them has it.
Result<std::string> find_token(const RemoteAccess& access, const std::string& volume);

// EACCES: every server refused; ENOTCONN and others: none could be reached.
Result<std::unique_ptr<metasvc::RemoteTransport>> connect_to_owner(
    Runtime& runtime, Executor& executor, const MetaUrl& url, const std::string& description,
    std::function<void()> session_lost);

}  // namespace shoal::cmd
