-- grants.sql (postgresql): what three users may do; they exist already. Run it as the owner of the
-- tables.
--
-- agent: mtrelayd and mtrelayctl. It changes rows and no tables, and it cannot delete a result.
-- application: inserts messages, cannot touch the columns of the agent, asks for cancellation,
-- marks results as read.
-- reader: monitors and statistics; sees numbers and outcomes, never the text of a message.
-- Where the tables are not in the schema public, each needs GRANT USAGE ON SCHEMA too.

GRANT SELECT, INSERT, UPDATE, DELETE ON {send} TO {agent_user};
GRANT SELECT, INSERT, UPDATE ON {result} TO {agent_user};
GRANT SELECT, INSERT, UPDATE, DELETE ON {try} TO {agent_user};
GRANT SELECT, INSERT, UPDATE, DELETE ON {report} TO {agent_user};
GRANT SELECT, INSERT, DELETE ON {history} TO {agent_user};
GRANT SELECT, INSERT, UPDATE, DELETE ON {agent} TO {agent_user};
GRANT SELECT, UPDATE (frozen, freeze_reason, frozen_at, freeze_epoch) ON {meta} TO {agent_user};
GRANT SELECT, INSERT ON {recv} TO {agent_user};
GRANT SELECT ON {file} TO {agent_user};
GRANT SELECT ON {sender} TO {agent_user};
GRANT SELECT ON {block} TO {agent_user};
GRANT SELECT ON {code} TO {agent_user};
GRANT SELECT ON {v_queue} TO {agent_user};
GRANT SELECT ON {v_open} TO {agent_user};
GRANT SELECT ON {v_daily} TO {agent_user};
GRANT SELECT ON {v_monthly} TO {agent_user};

GRANT SELECT, INSERT (req_key, msg_type, priority, sender, recipient, subject, body, is_ad, vars,
  profile_key, template_code, payload, file_key, fallback_type, fallback_subject, fallback_body,
  fallback_file_key, send_at, expire_at, group_key, dept_code, origin_code, etc1, etc2, etc3,
  etc4, cancel_yn), UPDATE (cancel_yn) ON {send} TO {application_user};
GRANT SELECT, UPDATE (read_yn) ON {result} TO {application_user};
GRANT SELECT, UPDATE (read_yn) ON {recv} TO {application_user};
GRANT SELECT, INSERT, UPDATE, DELETE ON {file} TO {application_user};
GRANT SELECT, INSERT, UPDATE, DELETE ON {block} TO {application_user};
GRANT SELECT ON {sender} TO {application_user};
GRANT SELECT ON {code} TO {application_user};
GRANT SELECT ON {history} TO {application_user};
GRANT SELECT ON {v_queue} TO {application_user};
GRANT SELECT ON {v_open} TO {application_user};
GRANT SELECT ON {v_daily} TO {application_user};
GRANT SELECT ON {v_monthly} TO {application_user};

GRANT SELECT (msg_id, req_key, msg_type, priority, sender, recipient, is_ad, send_at, expire_at,
  group_key, dept_code, origin_code, etc1, etc2, etc3, etc4, cancel_yn, status, due_at, owner,
  incarnation, fence, try_no, leg, generation, asked_type, channel, client_key, provider_id,
  first_sent_at, last_sent_at, hold_code, pend_class, pend_code, created_at) ON {send} TO
  {reader_user};
GRANT SELECT (msg_id, created_at, req_key, asked_type, sender, recipient, group_key, dept_code,
  origin_code, etc1, etc2, etc3, etc4, send_at, result_class, result_code, result_text,
  provider_code, provider_id, client_key, sent_type, leg, carrier, parts, channel, owner, try_no,
  sent_at, done_at, rev, late, changed_at, read_yn) ON {result} TO {reader_user};
GRANT SELECT ON {try} TO {reader_user};
GRANT SELECT ON {report} TO {reader_user};
GRANT SELECT ON {history} TO {reader_user};
GRANT SELECT ON {agent} TO {reader_user};
GRANT SELECT ON {meta} TO {reader_user};
GRANT SELECT ON {code} TO {reader_user};
GRANT SELECT ON {v_queue} TO {reader_user};
GRANT SELECT ON {v_open} TO {reader_user};
GRANT SELECT ON {v_daily} TO {reader_user};
GRANT SELECT ON {v_monthly} TO {reader_user};
