-- +goose Up

-- A login inherits the rights of both its roles at once: the rows of every
-- tenant from overread_system and the columns from overread_app, which together
-- are everybody's reports. So the policy holds for who has become the system
-- role (SET ROLE), not for who may.
-- +goose StatementBegin
DO $$
DECLARE
    p record;
BEGIN
    FOR p IN SELECT tablename, policyname FROM pg_policies
             WHERE schemaname = 'public' AND roles = '{overread_system}' AND qual = 'true' LOOP
        EXECUTE format('ALTER POLICY %I ON %I USING (current_user = ''overread_system'')', p.policyname, p.tablename);
    END LOOP;
END $$;
-- +goose StatementEnd
