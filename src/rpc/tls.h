// TLS 1.3 around a Connection, by OpenSSL. The library sees memory only; bytes go through the
// Connection that it was given, so this works over any Net.
//
//   TRY_ASSIGN(auto context, TlsContext::for_client({.ca_file = "ca.pem"}));
//   TRY_ASSIGN(auto secure, TlsConnection::client(std::move(plain), context, "meta.example.com"));
//   TRY(secure->handshake());
//
// No session tickets, no early data, no older versions. An end of the stream without TLS's own
// farewell reads as an end: the frames above say goodbye themselves.
#pragma once

#include <memory>
#include <string>

#include "base/error.h"
#include "sys/net.h"

namespace shoal::rpc {

// PEM files. Read once, when the context is made.
struct TlsServerFiles {
  std::string certificate_file;  // the server's, then those that lead to the CA
  std::string key_file;
  std::string client_ca_file;  // who signs client certificates; empty: none are asked for
  enum class ClientCertificate { kOptional, kRequired };
  ClientCertificate client_certificate = ClientCertificate::kRequired;  // with client_ca_file
};
struct TlsClientFiles {
  std::string ca_file;           // who signs server certificates; empty: the system's
  std::string certificate_file;  // ours; empty: none
  std::string key_file;
};

// Immutable, for any number of connections at once.
class TlsContext {
 public:
  // EINVAL names the file and what is wrong with it.
  static Result<std::shared_ptr<const TlsContext>> for_server(const TlsServerFiles& files);
  static Result<std::shared_ptr<const TlsContext>> for_client(const TlsClientFiles& files);
  virtual ~TlsContext() = default;
};

// One thread may read while another one writes, and a third one shut down, as with any Connection.
class TlsConnection : public Connection {
 public:
  // No I/O yet. `context` is shared with whoever made it. `server_name`: a DNS name or IP address
  // that the server's certificate must be for; EINVAL when it can be neither.
  static Result<std::unique_ptr<TlsConnection>> client(std::unique_ptr<Connection> plain,
                                                       std::shared_ptr<const TlsContext> context,
                                                       const std::string& server_name);
  static std::unique_ptr<TlsConnection> server(std::unique_ptr<Connection> plain,
                                               std::shared_ptr<const TlsContext> context);

  // Blocks until it is done or the connection is shut down; before anything else, by one thread.
  // EACCES: a certificate was refused, by us or (which a client may learn only from its first read)
  // by the peer. EPROTO: the peer speaks no TLS 1.3.
  virtual Status handshake() = 0;
  // 32 bytes that both ends of this session, and nobody else, know alike (RFC 9266, tls-exporter).
  // REQUIRES handshake().
  virtual std::string binding() const = 0;
  // Subject of the peer's verified certificate; empty when it showed none. REQUIRES handshake().
  virtual std::string certificate() const = 0;
};

}  // namespace shoal::rpc
