-- The role that every statement of the gateway runs as: it may read tables, and nothing else. The gateway refuses writes
-- itself; this is the second wall. The container runs it on an empty volume. On your own server run it by hand as a
-- superuser, once in each database:
--
--   psql -d app -v password_file=/path/to/password -f 10-gateway-role.sql
--
-- Running it again only sets the password again. `nlsql-gateway check` says whether a role may do too much.

\set ON_ERROR_STOP on
\if :{?password_file}
\else
  \set password_file /run/secrets/upstream_password
\endif
\set password `head -n 1 :'password_file'`
SET log_statement = none; -- the password would stand in the server's log
SET log_min_error_statement = panic;

SELECT NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'nlsql_gateway') AS missing \gset
\if :missing
  CREATE ROLE nlsql_gateway;
\endif
ALTER ROLE nlsql_gateway LOGIN NOINHERIT NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD :'password';
RESET log_statement;
RESET log_min_error_statement;

-- The gateway sets this too, for each connection. Here it also holds for whoever else gets hold of the password.
ALTER ROLE nlsql_gateway SET default_transaction_read_only = on;
-- Change: the longest that a statement may take.
ALTER ROLE nlsql_gateway SET statement_timeout = '5min';
ALTER ROLE nlsql_gateway SET idle_in_transaction_session_timeout = '10min';

-- Not pg_read_all_data: it also shows statistics that hold values, and everything that anybody ever adds.
-- Change: the schemas that hold your tables, and leave out those that nobody is to see through the gateway.
GRANT USAGE ON SCHEMA public TO nlsql_gateway;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO nlsql_gateway;
-- Change: FOR ROLE names who creates your tables, if that is not the role that runs this file.
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO nlsql_gateway;

-- Temporary tables are writes, and everybody may make them unless told otherwise.
SELECT pg_catalog.format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', pg_catalog.current_database()) \gexec
