-- name: where
-- Over TCP as the server sees itself; else the directory of its socket.
select current_user as role, current_database() as name, host(inet_server_addr()) as host,
    current_setting('port') as port, split_part(current_setting('unix_socket_directories'), ',', 1) as directory

-- name: json
-- A connection whose owner had it decode JSON does not give this as text.
select '{}'::json
