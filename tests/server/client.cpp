/* Client: see client.h. */
#include "client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

namespace server
{

std::string request(int port, const std::string &line)
{
    const std::string sent = line + "\n";
    const timeval patience = {1, 0};
    sockaddr_in address{};
    std::string text;
    char buffer[512];
    ssize_t got;
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<uint16_t>(port));
    int connection = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (connect(connection, reinterpret_cast<const sockaddr *>(&address), sizeof address) == 0 &&
        send(connection, sent.data(), sent.size(), MSG_NOSIGNAL) > 0)
        while ((got = recv(connection, buffer, sizeof buffer, 0)) > 0)
            text.append(buffer, static_cast<size_t>(got));
    close(connection);
    return text;
}

} // namespace server
