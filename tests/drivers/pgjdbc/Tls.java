// pgjdbc over TLS. Arguments: the URL, the authority's certificate, ada's certificate, her key (PKCS 8, DER).
import java.sql.*;
import java.util.Properties;

public class Tls {
    static String connect(String url, String... pairs) throws SQLException {
        Properties properties = new Properties();
        properties.put("user", "ada");
        properties.put("password", System.getenv("PGPASSWORD"));
        for (int i = 0; i < pairs.length; i += 2) properties.put(pairs[i], pairs[i + 1]);
        try (Connection connection = DriverManager.getConnection(url, properties);
             Statement statement = connection.createStatement();
             ResultSet rows = statement.executeQuery("SELECT 'in'")) {
            rows.next();
            return rows.getString(1);
        } catch (SQLException error) {
            return error.getSQLState();
        }
    }

    public static void main(String[] arguments) throws SQLException {
        String url = arguments[0], authority = arguments[1], certificate = arguments[2], key = arguments[3];
        for (String mode : new String[] {"disable", "allow", "prefer", "require"})
            System.out.println(mode + " " + connect(url, "sslmode", mode));
        System.out.println("verify-full " + connect(url, "sslmode", "verify-full", "sslrootcert", authority));
        System.out.println("certificate " + connect(
            url, "sslmode", "verify-full", "sslrootcert", authority, "sslcert", certificate, "sslkey", key));
        System.out.println("wrong " + connect(url, "sslmode", "require", "password", "wrong"));
    }
}
