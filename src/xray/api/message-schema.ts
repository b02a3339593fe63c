/**
 * The messages of Xray's API that are used here, and of those only the fields that are read or written: protobuf
 * skips the rest. Names and numbers are Xray's; a test compares them with what a running Xray says of itself.
 */
export const schema = {
  nested: {
    xray: {
      nested: {
        common: {
          nested: {
            serial: {
              nested: {
                TypedMessage: {
                  fields: { type: { type: 'string', id: 1 }, value: { type: 'bytes', id: 2 } },
                },
              },
            },
            protocol: {
              nested: {
                User: {
                  fields: {
                    email: { type: 'string', id: 2 },
                    account: { type: 'xray.common.serial.TypedMessage', id: 3 },
                  },
                },
              },
            },
          },
        },
        core: {
          nested: {
            Config: {
              fields: {
                outbound: { rule: 'repeated', type: 'OutboundHandlerConfig', id: 2 },
                app: { rule: 'repeated', type: 'xray.common.serial.TypedMessage', id: 4 },
              },
            },
            InboundHandlerConfig: { fields: { tag: { type: 'string', id: 1 } } },
            OutboundHandlerConfig: {
              fields: {
                tag: { type: 'string', id: 1 },
                sender_settings: { type: 'xray.common.serial.TypedMessage', id: 2 },
                proxy_settings: { type: 'xray.common.serial.TypedMessage', id: 3 },
              },
            },
          },
        },
        proxy: {
          nested: {
            vless: {
              nested: {
                Account: {
                  fields: {
                    id: { type: 'string', id: 1 },
                    flow: { type: 'string', id: 2 },
                    encryption: { type: 'string', id: 3 },
                  },
                },
              },
            },
            vmess: { nested: { Account: { fields: { id: { type: 'string', id: 1 } } } } },
            trojan: { nested: { Account: { fields: { password: { type: 'string', id: 1 } } } } },
            shadowsocks: {
              nested: {
                Account: {
                  fields: {
                    password: { type: 'string', id: 1 },
                    cipher_type: { type: 'CipherType', id: 2 },
                  },
                },
                CipherType: {
                  values: {
                    UNKNOWN: 0,
                    AES_128_GCM: 5,
                    AES_256_GCM: 6,
                    CHACHA20_POLY1305: 7,
                    XCHACHA20_POLY1305: 8,
                  },
                },
              },
            },
            shadowsocks_2022: { nested: { Account: { fields: { key: { type: 'string', id: 1 } } } } },
            hysteria: {
              nested: {
                account: { nested: { Account: { fields: { auth: { type: 'string', id: 1 } } } } },
              },
            },
          },
        },
        app: {
          nested: {
            proxyman: {
              nested: {
                command: {
                  nested: {
                    AddUserOperation: { fields: { user: { type: 'xray.common.protocol.User', id: 1 } } },
                    RemoveUserOperation: { fields: { email: { type: 'string', id: 1 } } },
                    AlterInboundRequest: {
                      fields: {
                        tag: { type: 'string', id: 1 },
                        operation: { type: 'xray.common.serial.TypedMessage', id: 2 },
                      },
                    },
                    AlterInboundResponse: { fields: {} },
                    RemoveInboundRequest: { fields: { tag: { type: 'string', id: 1 } } },
                    RemoveInboundResponse: { fields: {} },
                    ListInboundsRequest: { fields: { isOnlyTags: { type: 'bool', id: 1 } } },
                    ListInboundsResponse: {
                      fields: {
                        inbounds: { rule: 'repeated', type: 'xray.core.InboundHandlerConfig', id: 1 },
                      },
                    },
                    AddOutboundRequest: {
                      fields: { outbound: { type: 'xray.core.OutboundHandlerConfig', id: 1 } },
                    },
                    AddOutboundResponse: { fields: {} },
                    RemoveOutboundRequest: { fields: { tag: { type: 'string', id: 1 } } },
                    RemoveOutboundResponse: { fields: {} },
                    ListOutboundsRequest: { fields: {} },
                    ListOutboundsResponse: {
                      fields: {
                        outbounds: { rule: 'repeated', type: 'xray.core.OutboundHandlerConfig', id: 1 },
                      },
                    },
                    GetInboundUserRequest: {
                      fields: { tag: { type: 'string', id: 1 }, email: { type: 'string', id: 2 } },
                    },
                    GetInboundUserResponse: {
                      fields: { users: { rule: 'repeated', type: 'xray.common.protocol.User', id: 1 } },
                    },
                  },
                },
              },
            },
            router: {
              nested: {
                command: {
                  nested: {
                    AddRuleRequest: {
                      fields: {
                        config: { type: 'xray.common.serial.TypedMessage', id: 1 },
                        shouldAppend: { type: 'bool', id: 2 },
                      },
                    },
                    AddRuleResponse: { fields: {} },
                    ListRuleRequest: { fields: {} },
                    ListRuleItem: { fields: { ruleTag: { type: 'string', id: 2 } } },
                    ListRuleResponse: {
                      fields: { rules: { rule: 'repeated', type: 'ListRuleItem', id: 1 } },
                    },
                  },
                },
              },
            },
            stats: {
              nested: {
                command: {
                  nested: {
                    GetStatsRequest: { fields: { name: { type: 'string', id: 1 } } },
                    Stat: { fields: { name: { type: 'string', id: 1 }, value: { type: 'int64', id: 2 } } },
                    QueryStatsRequest: {
                      fields: { pattern: { type: 'string', id: 1 }, reset: { type: 'bool', id: 2 } },
                    },
                    QueryStatsResponse: { fields: { stat: { rule: 'repeated', type: 'Stat', id: 1 } } },
                    SysStatsRequest: { fields: {} },
                    SysStatsResponse: { fields: { Uptime: { type: 'uint32', id: 10 } } },
                    GetAllOnlineUsersRequest: { fields: {} },
                    GetAllOnlineUsersResponse: {
                      fields: { users: { rule: 'repeated', type: 'string', id: 1 } },
                    },
                    GetStatsOnlineIpListResponse: {
                      fields: {
                        name: { type: 'string', id: 1 },
                        ips: { keyType: 'string', type: 'int64', id: 2 },
                      },
                    },
                  },
                },
              },
            },
          },
        },
      },
    },
  },
}
